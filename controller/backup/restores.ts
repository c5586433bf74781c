import type { Clock, IdSource } from '../../shared/clock.ts'
import { TEST_VM_PREFIX } from '../../shared/domain/ids.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { FleetState } from '../fleet/fleet-state.ts'
import type { Operations } from '../operations/operations.ts'
import { wordsOf } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { PointRecord } from '../store/points.ts'
import type { Store } from '../store/store.ts'
import { findPoint, type PointWish } from './find-point.ts'
import { checkName, checkNewName } from './restore-name.ts'
import { planRestore, type RestoreWish } from './restore-plan.ts'
import { readSavedVm, type SavedVm } from './saved-vm.ts'
import type { BackupConfig } from './settings.ts'
import type { VaultClients } from './vault-client.ts'

export interface RestoreRequest extends PointWish {
  /** Empty: the best blade. */
  readonly to: string
  /** Empty: its own. */
  readonly newName: string
  /** Empty: the whole VM. */
  readonly onlyDisk: string
  readonly start: boolean
  readonly override: boolean
  readonly requestedBy: string
}

export interface BootTestRequest extends PointWish {
  readonly to: string
  readonly requestedBy: string
  readonly cause: string
  /** Asked once the vault has answered: why it may not begin after all; empty: it may. Default: it may. */
  readonly heldBack?: () => string
}

/** From a restore point to an operation: which point, may it be, where to. What is refused is told at once. */
export interface Restores {
  restore(request: RestoreRequest): Promise<OperationRecord>
  bootTest(request: BootTestRequest): Promise<OperationRecord>
}

export interface RestoresOptions {
  readonly store: Store
  readonly fleet: FleetState
  readonly vaults: Pick<VaultClients, 'ask'>
  readonly operations: Operations
  readonly clock: Clock
  readonly ids: IdSource
  readonly config: BackupConfig
}

const LIMIT_MS = 30 * SECOND_MS

/** The vault is asked first; everything after its answer is decided in one piece, on the fleet as it is then. */
export function createRestores(options: RestoresOptions): Restores {
  const { store, fleet, vaults, operations, clock, ids, config } = options

  const readPoint = async (wish: PointWish): Promise<{ point: PointRecord; saved: SavedVm }> => {
    const known = findPoint(store.points.list(), fleet.snapshot(clock.now()).vms, wish, store.vms.bladesOf)
    const ref = { vmId: known.vmId, point: known.point }
    const detail = await vaults.ask(known.vault, 'getPoint', ref, { timeoutMs: LIMIT_MS })
    const point = { ...known, ...detail.summary }
    if (point.state !== 'whole') {
      throw new LifeboatError(
        'refused',
        `restore point ${point.point} of ${point.vm} is ${point.state}: ${point.stateText}; lifeboat backup list ${point.vm} shows the others`,
      )
    }
    return { point, saved: readSavedVm(detail.manifestJson) }
  }

  const startRestore = (request: RestoreRequest, point: PointRecord, saved: SavedVm): OperationRecord => {
    const snapshot = fleet.snapshot(clock.now())
    const isVolume = request.onlyDisk !== ''
    const newIdentity = request.newName !== '' && request.newName !== saved.name
    if (!isVolume) {
      needDefinition(point, saved)
      checkName(request, point, saved, { snapshot, store })
    }
    const plan = planRestore(snapshot, {
      ...(isVolume ? volumeWish(request, point, saved, ids) : vmWish(request, saved, newIdentity, ids)),
      to: request.to,
      prefer: isVolume ? (snapshot.vms.find(vm => vm.id === point.vmId)?.blade ?? '') : '',
      override: request.override,
      sparesKept: false,
      besideNPlusOne: false,
    })
    const what = isVolume ? `disk ${request.onlyDisk} of ${point.vm}` : point.vm
    return operations.startRestore({
      pointVm: { id: point.vmId, name: point.vm },
      point: point.point,
      vault: point.vault,
      to: plan.to,
      plan: plan.vm,
      override: request.override && request.to !== '',
      newIdentity,
      start: request.start,
      onlyDisk: request.onlyDisk,
      cause: `restore of ${what} from ${point.point}, asked for by ${request.requestedBy}`,
      requestedBy: request.requestedBy,
    })
  }

  return {
    restore: async request => {
      if (request.newName !== '') checkNewName(request)
      const { point, saved } = await readPoint(request)
      return store.transaction(() => startRestore(request, point, saved))
    },
    bootTest: async request => {
      refuseEvacuating(store)
      const { point, saved } = await readPoint(request)
      needDefinition(point, saved)
      const name = `${TEST_VM_PREFIX}${ids.next().replaceAll('-', '').slice(0, 8)}`
      return store.transaction(() => {
        refuseEvacuating(store)
        const heldBack = request.heldBack?.() ?? ''
        if (heldBack !== '') throw new LifeboatError('refused', heldBack)
        const plan = planRestore(fleet.snapshot(clock.now()), {
          ...vmWish({ newName: name, start: true }, saved, true, ids),
          title: `the boot test of ${point.vm}`,
          networks: [],
          to: request.to,
          prefer: '',
          override: false,
          sparesKept: true,
          // Who names the blade has looked; by itself nothing is put where it would be in the way of an evacuation.
          besideNPlusOne: request.to === '',
        })
        return operations.startBootTest({
          pointVm: { id: point.vmId, name: point.vm },
          point: point.point,
          vault: point.vault,
          to: plan.to,
          plan: plan.vm,
          override: false,
          bootLimitMs: config.bootTest.bootLimitMs,
          sign: config.bootTest.sign,
          cause: request.cause,
          requestedBy: request.requestedBy,
        })
      })
    },
  }
}

/** An evacuation needs the room, and would abort the test with its next pass. Throws `refused`. */
function refuseEvacuating(store: Store): void {
  const [evacuation] = store.evacuations.active()
  if (evacuation === undefined) return
  throw new LifeboatError(
    'refused',
    `${wordsOf(evacuation)} (operation ${evacuation.operation}): boot tests wait until that is over`,
  )
}

type WishOfVm = Omit<RestoreWish, 'to' | 'prefer' | 'override' | 'sparesKept' | 'besideNPlusOne'>

function vmWish(
  request: Pick<RestoreRequest, 'newName' | 'start'>,
  saved: SavedVm,
  newIdentity: boolean,
  ids: IdSource,
): WishOfVm {
  const { name: savedName, memoryBytes, vcpus, networks, machine, cpuModel, disks } = saved
  return {
    purpose: 'restore',
    id: newIdentity ? ids.next() : saved.id,
    name: request.newName === '' ? savedName : request.newName,
    savedName,
    disks,
    memoryBytes,
    vcpus,
    networks,
    machine,
    cpuModel,
    start: request.start,
  }
}

/** A volume beside the VM it came from: on its blade if there is room, unless another is named. */
function volumeWish(request: RestoreRequest, point: PointRecord, saved: SavedVm, ids: IdSource): WishOfVm {
  if (request.start || request.newName !== '') {
    throw new LifeboatError('bad-input', 'one disk alone makes no VM: it can be neither named nor started')
  }
  const disk = saved.disks.find(each => each.target === request.onlyDisk)
  if (disk === undefined) {
    const there = saved.disks.map(each => each.target).join(', ')
    throw new LifeboatError(
      'not-found',
      `restore point ${point.point} of ${point.vm} has no disk ${request.onlyDisk}, only ${there}`,
    )
  }
  return {
    ...vmWish({ newName: '', start: false }, saved, true, ids),
    purpose: 'volume',
    name: `${saved.name}-${disk.target}-${point.point}`,
    // Named after what it is, never over what is there.
    disks: [{ ...disk, path: `/${saved.name}` }],
    networks: [],
  }
}

function needDefinition(point: PointRecord, saved: SavedVm): void {
  if (saved.hasDefinition) return
  throw new LifeboatError(
    'refused',
    `restore point ${point.point} of ${point.vm} was added without a definition: restore its disks one by one: \`lifeboat backup restore ${point.vm}@${point.point} --disk TARGET\``,
  )
}
