import type { Vm } from '../../shared/domain/fleet.ts'
import { isTestVm } from '../../shared/domain/ids.ts'
import type { ReasonCode } from '../../shared/domain/reason.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import { noteDropped } from '../operations/note-dropped.ts'
import { type BackupParams, parseBackupParams } from '../operations/params.ts'
import type { OperationServices } from '../operations/services.ts'
import type { VaultAddress } from '../vault/client/connection.ts'
import { formatPoint } from '../vault/format/point.ts'
import { readCheck, readSnapshot } from './backup-journal.ts'
import { probeSend, send } from './backup-send.ts'
import { modeOf } from './settings.ts'
import type { BackupMode } from './snapshots.ts'
import { askVault } from './vaults.ts'
import { wholeDefinition } from './whole-definition.ts'

type BackupContext = StepContext<BackupParams, OperationServices>

/** Disks of which a backup would not have the data. All else that keeps a VM from moving is no matter here. */
const NOT_TO_BE_READ: readonly ReasonCode[] = ['disk-not-local', 'disk-has-backing-file', 'disk-unreadable']
/** A full vault stays full; a busy one has a place when another blade's backup ends. */
const ASK_AGAIN_MS = 15 * SECOND_MS
/** A reader that has just been closed may hold the device for a moment. 0: no more tries. */
const DROP_WAITS_MS = [1, 5, 20, 60, 0].map(seconds => seconds * SECOND_MS)

/**
 * One restore point. The same saga whether an order or the agent's own schedule begins it. Until the vault lists the
 * restore point there is only a way back: a killed backup is undone at the next start, never taken up.
 */
export const backupVm: SagaDefinition<BackupParams, OperationServices> = {
  kind: 'backup-vm',
  parseParams: parseBackupParams,
  steps: [
    { name: 'check', probe: 'repeat', do: check },
    {
      name: 'snapshot',
      // What an interrupted attempt left is removed before another one is made.
      probe: async context => {
        await release(context)
        return { state: 'not-done' }
      },
      do: takeSnapshot,
      undo: release,
    },
    { name: 'send', probe: probeSend, do: send, cannotUndoBecause: 'the vault lists the restore point' },
    { name: 'drop-snapshot', probe: 'repeat', do: dropSnapshot },
  ],
}

/** Everything that can be found out before the guest is touched. Waits for its turn, and for a vault that is busy. */
async function check(context: BackupContext): Promise<Json> {
  const { params, services, sagaId, signal } = context
  await services.turns.take(sagaId, signal)
  const settings = services.backupSettings()
  const { vault } = settings
  if (vault === undefined) throw new LifeboatError('refused', 'no vault is set for the backups of this blade')
  const mode = decideMode(params, modeOf(settings, params.vmId))
  await waitForVault(context, await requireVm(services, params), vault)
  // After hours of waiting, perhaps: it may have other disks, or have moved.
  const vm = await requireVm(services, params)
  const plan = await services.snapshots.plan(
    {
      backupId: `b-${formatPoint(services.clock.now())}-${vm.id.slice(0, 8)}`,
      vm,
      mode,
      pauseBudgetMs: settings.pauseBudgetMs,
      force: params.force,
    },
    services.run,
    path => noteDropped(services, path, vm.name),
  )
  const { memoryBytes, vcpus } = vm
  return { plan: asJson(plan), vault: { ...vault }, memoryBytes, vcpus }
}

/** Throws `not-found`, `busy` or `refused` when this VM is not to be backed up now. */
async function requireVm(services: OperationServices, params: BackupParams): Promise<Vm> {
  const move = services.moves.openOf(params.vmId)
  if (move !== undefined) throw new LifeboatError('busy', `move ${move.moveId} holds the VM`)
  const order = services.workingOn(params.vmId)
  if (order !== undefined) {
    throw new LifeboatError('busy', `order ${order.orderId} (${order.kind}) works on the VM`)
  }
  const vm = await services.lookUp(params.vmId)
  if (vm === undefined) throw new LifeboatError('not-found', `${params.vmName} is not on this blade`)
  if (isTestVm(vm.name)) throw new LifeboatError('refused', `${vm.name} is the VM of a boot test`)
  if (vm.volumes.length === 0) throw new LifeboatError('refused', `${vm.name} has no disk`)
  await requireAllDisks(services, vm)
  return vm
}

async function requireAllDisks({ hypervisor }: OperationServices, vm: Vm): Promise<void> {
  const problems = vm.obstacles.filter(obstacle => NOT_TO_BE_READ.includes(obstacle.code))
  if (problems.length > 0) {
    throw new LifeboatError('refused', `not all disks of ${vm.name} can be backed up`, {
      details: problems.map(problem => problem.text),
    })
  }
  await wholeDefinition(hypervisor, vm, vm.volumes)
}

/** An order may say how; without a word of it `off` is respected. */
function decideMode(params: BackupParams, set: BackupMode): Exclude<BackupMode, 'off'> {
  const mode = params.mode || set
  if (mode === 'off')
    throw new LifeboatError('refused', 'backups of this VM are off: name a mode to make one anyway')
  return mode
}

/**
 * Begins a backup at the vault and ends it again: a vault that is full, busy or away is found out while the VM runs
 * undisturbed. Between this and the real beginning the place may be lost; `send` then waits for another.
 */
async function waitForVault({ services, signal }: BackupContext, vm: Vm, vault: VaultAddress): Promise<void> {
  const { clock } = services
  for (;;) {
    try {
      const nowAt = clock.now()
      const request = { vm: { id: vm.id, name: vm.name }, point: formatPoint(nowAt), nowAt }
      await askVault(services.vaults, services.vaultAccess(vault), async door => {
        await (await door.begin(request)).abort()
      })
      return
    } catch (error) {
      if (errorCode(error) !== 'busy') throw error
      await clock.sleep(ASK_AGAIN_MS, signal)
      if (signal.aborted)
        throw new LifeboatError('aborted', `stopped waiting for vault ${vault.name}`, { cause: error })
    }
  }
}

async function takeSnapshot(context: BackupContext): Promise<Json> {
  const { services, results, sagaId } = context
  const snapshot = await services.snapshots.take(readCheck(results.check).plan, services.run)
  services.changedRanges.set(
    sagaId,
    new Map(snapshot.sources.map(({ volume, changed }) => [volume.target, changed])),
  )
  const sources = snapshot.sources.map(({ volume, path, sizeBytes }) => ({
    volume: { ...volume },
    path,
    sizeBytes,
  }))
  return asJson({ ...snapshot, sources })
}

/** As it comes back from the disk: what JSON does not know is gone now, not only after a restart. */
function asJson(value: object): Json {
  return JSON.parse(JSON.stringify(value)) as Json
}

/** The VM runs, and no snapshot is left. Without a plan nothing was begun. */
async function release({ services, results, sagaId }: BackupContext): Promise<void> {
  services.changedRanges.delete(sagaId)
  if (results.check !== undefined) {
    await services.snapshots.release(readCheck(results.check).plan, undefined, services.run)
  }
}

/**
 * The restore point is whole whatever happens here. A snapshot that does not go is told of and left to the collection of
 * leftovers: waiting for it would cost every other VM of this blade its night.
 */
async function dropSnapshot({
  params,
  services,
  results,
  sagaId,
  signal,
}: BackupContext): Promise<undefined> {
  const point = formatPoint(readSnapshot(results.snapshot).at)
  const { plan } = readCheck(results.check)
  services.changedRanges.delete(sagaId)
  for (const waitMs of DROP_WAITS_MS) {
    try {
      await services.snapshots.release(plan, point, services.run)
      return undefined
    } catch (error) {
      if (waitMs !== 0) await services.clock.sleep(waitMs, signal)
      // The process ends: the next one does it again.
      if (signal.aborted)
        throw new LifeboatError('unavailable', 'the snapshot is still there', { cause: error })
      if (waitMs === 0) tellLeft(services, params, error)
    }
  }
  return undefined
}

function tellLeft(services: OperationServices, params: BackupParams, error: unknown): void {
  const text = `a snapshot could not be removed, it is tried again within hours: ${formatErrorChain(error)}`
  services.log.error(`vm ${params.vmName}: ${text}`)
  services.tell('snapshot-left', params.vmName, text)
}
