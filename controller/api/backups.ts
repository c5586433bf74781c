import type { OperationList } from '../../proto/gen/lifeboat/v1/admin.ts'
import type { PointDetail } from '../../proto/gen/lifeboat/v1/vault.ts'
import { HOUR_MS, MINUTE_MS, plural } from '../../shared/domain/units.ts'
import { isRetryable, LifeboatError } from '../../shared/errors.ts'
import { findPoint, pointsOfVm } from '../backup/find-point.ts'
import { readBackups, tellingFailures } from '../backup/known.ts'
import { planNights } from '../backup/plan-nights.ts'
import { keepToWire } from '../backup/retention.ts'
import type { VmView } from '../fleet/snapshot.ts'
import type { PointRecord } from '../store/points.ts'
import type { AdminHandlers, ApiContext, AsyncAdminHandlers } from './context.ts'
import { refuseLost, requireBlade, requireVault, requireVm } from './find.ts'
import { operationToWire } from './operation-view.ts'
import { pointToWire, standingToWire } from './views.ts'

/** To hash every chunk of a large VM takes hours. As long as the CLI waits. */
const CHECK_LIMIT_MS = 24 * HOUR_MS
/** Each dropped point is a rename; it waits for what is being listed. */
const PRUNE_LIMIT_MS = HOUR_MS
const ASK_LIMIT_MS = MINUTE_MS

/** Backups: run, list, plan, explain. Answered from what is known here, also while a vault is away. */
export function backupHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'runBackups' | 'listBackups' | 'planBackups' | 'explainBackupPolicy'> {
  const { store, fleet, clock, config } = context
  const known = () => readBackups(store, config.backup)
  return {
    runBackups: (request, caller) => runBackups(context, request, caller),
    listBackups: ({ vm }) => {
      const points = store.points.list()
      const chosen = vm === '' ? points : pointsOfVm(points, fleet.snapshot(clock.now()).vms, vm)
      return { points: chosen.map(pointToWire) }
    },
    planBackups: ({ vm }) => {
      const now = clock.now()
      const snapshot = fleet.snapshot(now)
      const vms = vm === '' ? snapshot.vms : [requireVm(snapshot, vm)]
      const told = tellingFailures(known(), store.backups.outcomes())
      const nights = planNights(snapshot.vms, told, config.backup, now)
      const wanted = new Set(vms.map(each => each.id))
      return {
        backups: nights
          .filter(each => wanted.has(each.vm.id))
          .map(({ vm: each, vault, standing, ...night }) => ({
            ...night,
            vm: each.name,
            blade: each.blade,
            vault,
            standing: standingToWire(standing),
          })),
      }
    },
    explainBackupPolicy: ({ name }) => {
      const vm = requireVm(fleet.snapshot(clock.now()), name)
      const { mode, schedule, keep, vault, explanation } = known().policyOf(vm)
      return { vm: vm.name, mode, schedule, keep: keepToWire(keep), vault, explanation: [...explanation] }
    },
  }
}

/** What needs the vault's own word first. */
export function pointHandlers(
  context: ApiContext,
): Pick<AsyncAdminHandlers, 'getBackup' | 'checkBackup' | 'testBackup' | 'restoreBackup' | 'pruneBackups'> {
  const { store, clients, restores, vaults } = context
  const find = (backup: { vm: string; point: string } | undefined) =>
    findPoint(
      store.points.list(),
      context.fleet.snapshot(context.clock.now()).vms,
      named(backup),
      store.vms.bladesOf,
    )
  return {
    getBackup: async backup => await getBackup(context, find(backup)),
    checkBackup: async (backup, caller) => {
      const { vault, vmId, vm, point } = find(backup)
      context.log.info(`restore point ${point} of ${vm}: checked for ${caller}`)
      const summary = await clients.ask(vault, 'checkPoint', { vmId, point }, { timeoutMs: CHECK_LIMIT_MS })
      if (store.vaults.get(vault) !== undefined) store.points.save(vault, summary)
      vaults.look()
      return summary
    },
    testBackup: async ({ backup, to }, requestedBy) => {
      if (to !== '') requireBlade(store, to)
      const cause = `boot test, asked for by ${requestedBy}`
      return operationToWire(context, await restores.bootTest({ ...named(backup), to, requestedBy, cause }))
    },
    restoreBackup: async ({ backup, to, newName, onlyDisk, start, overrideRules }, requestedBy) => {
      if (to !== '') requireBlade(store, to)
      const request = { ...named(backup), to, newName, onlyDisk, start, override: overrideRules, requestedBy }
      return operationToWire(context, await restores.restore(request))
    },
    pruneBackups: async ({ dryRun, vm, vault: name }, caller) => {
      const vault = requireVault(store, name || context.config.backup.vault)
      const vmId = vm === '' ? '' : (pointsOf(context, vm)[0]?.vmId ?? '')
      // By the policies as they are now: the vault may have been away when they changed.
      await vaults.lookAt(vault.name)
      const report = await clients.ask(vault.name, 'prune', { dryRun, vmId }, { timeoutMs: PRUNE_LIMIT_MS })
      if (!dryRun) {
        const dropped = report.verdicts.filter(verdict => !verdict.keep).length
        context.log.info(`vault ${vault.name}: ${dropped} restore points dropped, asked for by ${caller}`)
        vaults.look()
      }
      return report
    },
  }
}

function pointsOf({ store, fleet, clock }: ApiContext, vm: string): readonly PointRecord[] {
  return pointsOfVm(store.points.list(), fleet.snapshot(clock.now()).vms, vm)
}

function named(backup: { vm: string; point: string } | undefined): { vm: string; point: string } {
  if (backup === undefined || backup.vm === '') throw new LifeboatError('bad-input', 'which VM?')
  return backup
}

/** While the vault is away, what it said last, without the manifest. */
async function getBackup({ clients }: ApiContext, known: PointRecord): Promise<PointDetail> {
  const { vault, vmId, point } = known
  try {
    return await clients.ask(vault, 'getPoint', { vmId, point }, { timeoutMs: ASK_LIMIT_MS })
  } catch (error) {
    if (!isRetryable(error)) throw error
    return { summary: pointToWire(known), manifestJson: '' }
  }
}

/** One operation for each VM; those that cannot begin are told, and keep no other from its backup. */
function runBackups(
  context: ApiContext,
  request: Parameters<AdminHandlers['runBackups']>[0],
  caller: string,
): OperationList {
  const { store, config, operations } = context
  const known = readBackups(store, config.backup)
  const chosen = chooseVms(context, request)
  const [first] = chosen
  if (known.vault === undefined) {
    const why =
      first === undefined ? [] : known.policyOf(first).explanation.filter(line => /^no backups/.test(line))
    throw new LifeboatError('refused', 'there is no vault to back up to', { details: why })
  }
  const byName = request.vms.length > 0
  if (byName) for (const vm of chosen) refuseLost(vm)
  const wanted = chosen.filter(vm => byName || (known.policyOf(vm).mode !== 'off' && vm.state !== 'lost'))
  if (wanted.length === 0) {
    const off = chosen.filter(vm => known.policyOf(vm).mode === 'off')
    throw nothingToBackUp(chosen, off, request.blade)
  }
  const fallback = config.backup.mode === 'off' ? 'freeze' : config.backup.mode
  const started = wanted.map(vm => {
    const running = store.operations.readingOf(vm.id, 'backup')
    if (running !== undefined) return running
    const mode = known.policyOf(vm).mode === 'off' ? fallback : ''
    return operations.startBackup({ vm, mode, force: request.force, requestedBy: caller })
  })
  return { operations: started.map(operation => operationToWire(context, operation)) }
}

/** Which of the reasons it is: no VM, all off, the rest away. */
function nothingToBackUp(chosen: readonly VmView[], off: readonly VmView[], blade: string): LifeboatError {
  const where = blade === '' ? '' : ` on ${blade}`
  if (chosen.length === 0) {
    return new LifeboatError('refused', `there is no VM${where}; lifeboat vm list shows where they are`)
  }
  const away = chosen.filter(vm => !off.includes(vm))
  const blades = [...new Set(away.map(vm => vm.blade))].sort()
  const reasons = [
    ...(off.length === 0 ? [] : [`the backups of ${plural(off.length, 'VM')} are off`]),
    ...(away.length === 0
      ? []
      : [`${plural(away.length, 'VM')} cannot be reached, for nothing is heard of ${blades.join(', ')}`]),
  ]
  return new LifeboatError(
    'refused',
    `there is no VM to back up${where}: ${reasons.join(', ')}; lifeboat backup plan shows each`,
  )
}

function chooseVms(
  { store, fleet, clock }: ApiContext,
  { vms, blade, all }: Parameters<AdminHandlers['runBackups']>[0],
): readonly VmView[] {
  const snapshot = fleet.snapshot(clock.now())
  if (blade !== '') requireBlade(store, blade)
  if (Number(vms.length > 0) + Number(blade !== '') + Number(all) !== 1) {
    throw new LifeboatError('bad-input', 'say which VMs, or a blade, or all of them')
  }
  if (vms.length > 0) return [...new Set(vms.map(name => requireVm(snapshot, name)))]
  return all ? snapshot.vms : snapshot.vms.filter(vm => vm.blade === blade)
}
