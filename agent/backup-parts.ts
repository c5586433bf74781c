import { HOUR_MS } from '../shared/domain/units.ts'
import type { SagaRunner } from '../shared/saga/runner.ts'
import { type BackupRecoveryOptions, collectLeftovers } from './backup/recovery.ts'
import { startSchedule } from './backup/schedule.ts'
import { unfinishedBackups } from './backup/stand-aside.ts'
import type { Inventory } from './inventory/inventory.ts'
import { type Loop, startLoop } from './loop.ts'
import type { OperationServices } from './operations/services.ts'
import type { Shared } from './parts.ts'

// What the agent does about backups by itself, joined from its parts.

const COLLECT_EVERY_MS = 6 * HOUR_MS

/** Leftovers at the start; later the bases of VMs that have gone elsewhere. */
export function startCollecting({
  seams,
  backups,
  inventory,
}: Pick<Shared, 'seams'> & { backups: BackupRecoveryOptions; inventory: Inventory }): Loop {
  return startLoop({
    clock: seams.clock,
    intervalMs: COLLECT_EVERY_MS,
    gatherMs: 0,
    body: async () => {
      const state = inventory.state()
      await collectLeftovers(backups, state?.complete === true ? state.vms.map(vm => vm.id) : undefined)
    },
  })
}

/** Starts to follow the blade's own schedule of backups. */
export function followSchedule({
  seams,
  stores,
  runner,
  inventory,
}: Shared & { runner: SagaRunner<OperationServices>; inventory: Inventory }): Loop {
  return startSchedule({
    store: stores.backups,
    // An incomplete look may lack VMs, and what is not here any more is forgotten.
    vms: () => (inventory.state()?.complete === true ? inventory.state()?.vms : undefined),
    isHeld: vmId => stores.moves.openOf(vmId) !== undefined || stores.orders.working(vmId) !== undefined,
    isWorking: () => unfinishedBackups(stores.journal).length > 0,
    start: (sagaId, params, deadlineAt) => runner.start('backup-vm', sagaId, params, deadlineAt),
    clock: seams.clock,
    log: seams.log.child('backup'),
  })
}
