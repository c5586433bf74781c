import { posix } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import type { Capacity, Vm } from '../../shared/domain/fleet.ts'
import { formatErrorChain } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import { startLoop } from '../loop.ts'
import type { Volumes } from '../storage/volumes.ts'
import type { MoveStore } from '../store/move-store.ts'
import type { VmMarks } from '../store/vm-marks.ts'
import { assembleCapacity, assembleVms, type Inspected } from './assemble.ts'

/** What nobody announces (an `lvcreate` by hand, room in a pool) is seen within this time. */
const REFRESH_EVERY_MS = 60_000
/**
 * libvirt announces a start or a move in several events over about a second; a look is half a dozen processes, and in a
 * hand-over they would compete with the one that lets the guest run again.
 */
const GATHER_MS = 1000
/** As many looks in a row are dropped for what changed meanwhile: where something changes all the time, one is told. */
const MOST_DROPPED = 3

export interface InventoryState {
  readonly vms: readonly Vm[]
  readonly capacity: Capacity
  /** False when a part did not answer; what is there is then the last that was read. */
  readonly complete: boolean
}

export interface Inventory {
  /** The last reading; undefined until the hypervisor has answered once. */
  state(): InventoryState | undefined
  /** Look soon: something was changed. */
  nudge(): void
  /** Looks now and waits for it. Throws when the hypervisor does not answer. */
  lookUp(vmId: string): Promise<Vm | undefined>
  /** Name of a VM as last seen, or its id. */
  nameOf(vmId: string): string
  close(): Promise<void>
}

export interface InventoryOptions {
  readonly hypervisor: Hypervisor
  readonly volumes: Volumes
  readonly moves: MoveStore
  readonly marks: VmMarks
  readonly reserveBytes: number | undefined
  readonly clock: Clock
  readonly log: Logger
  /** After every look, whatever it found. */
  readonly onLook: () => void
  /** Directories that hold disk files of VMs, for the room in them. */
  readonly onDirectories: (directories: readonly string[]) => void
}

/** Starts to keep an inventory: by the hypervisor's events, our own operations, and once a minute. */
export function startInventory(options: InventoryOptions): Inventory {
  const { hypervisor, log } = options
  let state: InventoryState | undefined
  let problem = ''

  /** Something changed since the look began; the look after it is on its way. */
  let hasChanged = false
  let dropped = 0

  async function look(): Promise<void> {
    hasChanged = false
    const next = await read(options, state)
    // It may be older than the change, and would come late: a VM paused for its hand-over that runs long since.
    if (hasChanged && state !== undefined && dropped < MOST_DROPPED) {
      dropped++
      return
    }
    dropped = 0
    if (next.problem !== problem) {
      if (next.problem === '') log.info('inventory is complete again')
      else log.warn('inventory is incomplete', { reason: next.problem })
      problem = next.problem
    }
    if (next.state !== undefined) {
      tellChanges(state?.vms, next.state.vms, log)
      state = next.state
    }
    options.onLook()
  }

  const loop = startLoop({
    clock: options.clock,
    intervalMs: REFRESH_EVERY_MS,
    gatherMs: GATHER_MS,
    body: look,
  })
  const unwatch = hypervisor.watch(() => {
    hasChanged = true
    loop.nudge()
  })
  return {
    state: () => state,
    nudge: () => loop.nudge(),
    lookUp: async vmId => {
      const vms = await readVms(options)
      return vms.find(vm => vm.id === vmId)
    },
    nameOf: vmId => state?.vms.find(vm => vm.id === vmId)?.name ?? vmId,
    close: async () => {
      unwatch()
      await loop.stop()
    },
  }
}

async function read(
  options: InventoryOptions,
  before: InventoryState | undefined,
): Promise<{ state: InventoryState | undefined; problem: string }> {
  const problems: string[] = []
  const attempt = async <T>(part: Promise<T>, otherwise: T | undefined): Promise<T | undefined> => {
    try {
      return await part
    } catch (error) {
      problems.push(formatErrorChain(error))
      return otherwise
    }
  }
  const vms = await attempt(readVms(options), before?.vms)
  const bare = await attempt(options.hypervisor.capacity(), before?.capacity)
  const pools = (await attempt(options.volumes.pools(), before?.capacity.pools)) ?? []
  const problem = problems.join('; ')
  if (vms === undefined || bare === undefined)
    return { state: before && { ...before, complete: false }, problem }
  const capacity = assembleCapacity(bare, pools, options.reserveBytes)
  return { state: { vms, capacity, complete: problem === '' }, problem }
}

async function readVms(options: InventoryOptions): Promise<readonly Vm[]> {
  // A VM whose move ended while it was looked at may have been seen as it was before: paused, not defined yet. It still
  // counts as arriving, for which the controller has a newer word; so does one whose move has begun since.
  const arriving = new Set(arrivingIds(options))
  const vms = await options.hypervisor.list()
  const paths = [...new Set(vms.flatMap(vm => vm.volumes.map(volume => volume.path)))]
  let inspected: Inspected = new Map()
  try {
    if (paths.length > 0) inspected = await options.volumes.inspect(paths)
  } catch (error) {
    // The VMs are there all the same; that they cannot move now is said by their obstacles.
    const failure = { error: formatErrorChain(error), code: 'disk-unreadable' } as const
    inspected = new Map(paths.map(path => [path, failure]))
  }
  const files = [...inspected].flatMap(([path, info]) =>
    'storage' in info && info.storage === 'file' ? [path] : [],
  )
  options.onDirectories([...new Set(files.map(path => posix.dirname(path)))].sort())
  for (const id of arrivingIds(options)) arriving.add(id)
  return assembleVms({ vms, inspected, epochs: options.marks.epochs(), arriving })
}

function arrivingIds({ moves }: InventoryOptions): readonly string[] {
  return moves.open().flatMap(move => (move.direction === 'in' ? [move.vmId] : []))
}

/** One line for each state change, by whoever's hand. */
function tellChanges(before: readonly Vm[] | undefined, after: readonly Vm[], log: Logger): void {
  if (before === undefined) return
  const known = new Map(before.map(vm => [vm.id, vm.state]))
  for (const vm of after) {
    const state = known.get(vm.id)
    known.delete(vm.id)
    if (state !== vm.state) log.info(`vm ${vm.name}: ${state ?? 'absent'} => ${vm.state} (seen)`)
  }
  for (const vm of before) {
    if (known.has(vm.id)) log.info(`vm ${vm.name}: ${vm.state} => absent (seen)`)
  }
}
