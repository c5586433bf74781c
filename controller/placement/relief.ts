import { formatBytes, GIB } from '../../shared/domain/units.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { Relief } from './plan.ts'
import { poolName } from './pools.ts'
import { anyOf, liftRuleText, moreVmsText, oneMoreVmText, uncordonText, unpinText } from './relief-words.ts'
import { isOpen, type Room, type Rooms, roomsOf } from './room.ts'
import type { SearchOptions } from './search-places.ts'
import { type Compiled, compile, MEMORY, PLACES, VCPUS } from './solver/compile.ts'
import type { Model } from './solver/model.ts'
import { canPlaceAll } from './solver/solve.ts'

/** One question of many: small, so that all of them together take no longer than the plan. */
const STEPS_PER_QUESTION = 100_000
const STEPS_IN_ALL = 10_000_000
/** Fewer than a plan lets step aside: a relief that needs a shuffle besides is a poor one. */
const MOST_ASIDE = 2
/** Blades that are asked about, those with the most memory left first. */
const MOST_BLADES = 16
/** How exactly an amount of memory or storage is found, and said. */
const PRECISION_BYTES = GIB / 4

/**
 * The smallest changes found with which every one of these VMs would have a place, each by itself: what costs nothing
 * first (a blade that was taken out of service, a rule), then limits, then hardware. `emptied`: blades that take none.
 */
export function findRelief(
  snapshot: FleetSnapshot,
  leaving: readonly VmView[],
  emptied: ReadonlySet<string>,
  options: SearchOptions,
): Relief[] {
  const fitsAll = questioner(Math.min(MOST_ASIDE, options.mostAside))
  const world = { snapshot, leaving, emptied, options, fitsAll }
  const compiled = compiledOf(world, snapshot)
  const blades = candidateBlades(compiled)
  const asked = { compiled, fitsAll, wanted: leaving.map(vm => compiled.indexOf(vm.id)), blades }
  return [
    ...uncordons(world),
    ...liftedRules(world),
    ...morePlaces(asked),
    ...moreOf(asked, VCPUS, 'vcpus', 1, amount => `${amount} more vCPUs`),
    ...moreOf(asked, MEMORY, 'memory', PRECISION_BYTES, amount => `${formatBytes(amount)} more memory`),
    ...[...compiled.pools].flatMap(([key, dim]) =>
      moreOf(
        asked,
        dim,
        'storage',
        PRECISION_BYTES,
        amount => `${formatBytes(amount)} more room in ${poolName(key)}`,
      ),
    ),
    ...oneMoreBlade(world, compiled),
  ]
}

interface World {
  readonly snapshot: FleetSnapshot
  readonly leaving: readonly VmView[]
  readonly emptied: ReadonlySet<string>
  readonly options: SearchOptions
  readonly fitsAll: FitsAll
}

interface Asked {
  readonly compiled: Compiled
  readonly fitsAll: FitsAll
  readonly wanted: readonly number[]
  /** Indices of blades that could be given more. */
  readonly blades: readonly number[]
}

function compiledOf({ emptied, options }: World, snapshot: FleetSnapshot): Compiled {
  const rooms: Rooms = roomsOf({
    ...snapshot,
    blades: snapshot.blades.map(blade =>
      emptied.has(blade.name) && blade.admin === 'in-service' ? { ...blade, admin: 'cordoned' } : blade,
    ),
  })
  return compile(rooms, snapshot.vms, options)
}

type FitsAll = (model: Model, wanted: readonly number[]) => boolean

function questioner(mostAside: number): FitsAll {
  let left = STEPS_IN_ALL
  return (model, wanted) => {
    const budget = { left: Math.min(left, STEPS_PER_QUESTION) }
    const allowed = budget.left
    const fits = left > 0 && canPlaceAll(model, wanted, { budget, mostAside })
    left -= allowed - budget.left + wanted.length
    return fits
  }
}

function candidateBlades({ model, blades }: Compiled): number[] {
  return blades
    .map((room, index) => ({ room, index }))
    .filter(({ room }) => isOpen(room.blade))
    .sort((a, b) => room(model, b.index) - room(model, a.index) || a.index - b.index)
    .slice(0, MOST_BLADES)
    .map(({ index }) => index)
    .sort((a, b) => a - b)
}

function room({ free, dims }: Model, blade: number): number {
  return free[blade * dims + MEMORY] as number
}

/** The least amount with which some blade would do, and all the blades of which that is true. */
function moreOf(
  { compiled, fitsAll, wanted, blades }: Asked,
  dim: number,
  kind: Relief['kind'],
  precision: number,
  words: (amount: number) => string,
): Relief[] {
  const { model } = compiled
  const most = wanted.reduce((sum, vm) => sum + (model.need[vm * model.dims + dim] as number), 0)
  if (most === 0) return []
  let least = Math.ceil(most / precision) * precision
  let enough: number[] = []
  for (const blade of blades) {
    const does = (amount: number) => fitsAll(withMore(model, [blade], dim, amount), wanted)
    if (!does(least)) continue
    let low = 0
    let high = least / precision
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (does(middle * precision)) high = middle
      else low = middle
    }
    if (high * precision < least) enough = []
    least = high * precision
    enough.push(blade)
  }
  if (enough.length === 0) return []
  const names = enough.map(compiled.nameOf)
  return [{ kind, text: `${words(least)} on ${anyOf(names)}`, blades: names, amount: least }]
}

/** One place on one blade if that does, else one on each. */
function morePlaces({ compiled, fitsAll, wanted, blades }: Asked): Relief[] {
  const { model } = compiled
  const single = blades.filter(blade => fitsAll(withMore(model, [blade], PLACES, 1), wanted))
  const limitOf = (blade: number) => (compiled.blades[blade] as Room).blade.maxVms
  const [first, ...rest] = single
  if (first !== undefined) {
    const names = [compiled.nameOf(first), ...rest.map(compiled.nameOf)] as const
    return [{ kind: 'vm-limit', text: oneMoreVmText(names, limitOf(first)), blades: names, amount: 1 }]
  }
  const most = wanted.length
  for (let amount = 1; amount <= most; amount++) {
    if (!fitsAll(withMore(model, blades, PLACES, amount), wanted)) continue
    const limits = [...new Set(blades.map(limitOf))]
    return [{ kind: 'vm-limit', text: moreVmsText(amount, limits), blades: [], amount }]
  }
  return []
}

function withMore(model: Model, blades: readonly number[], dim: number, amount: number): Model {
  const free = model.free.slice()
  for (const blade of blades) {
    const at = blade * model.dims + dim
    free[at] = (free[at] as number) + amount
  }
  return { ...model, free }
}

/** Blades that are sound and up, and were taken out of service by a person. */
function uncordons(world: World): Relief[] {
  const { snapshot, emptied } = world
  const names = snapshot.blades
    .filter(
      blade =>
        blade.admin !== 'in-service' &&
        blade.health === 'healthy' &&
        blade.liveness === 'up' &&
        !emptied.has(blade.name),
    )
    .map(blade => blade.name)
    .slice(0, MOST_BLADES)
    .filter(name => {
      const blades = snapshot.blades.map(blade =>
        blade.name === name ? { ...blade, admin: 'in-service' as const } : blade,
      )
      return works(world, { ...snapshot, blades })
    })
  const [first, ...rest] = names
  if (first === undefined) return []
  return [{ kind: 'uncordon', text: uncordonText([first, ...rest]), blades: names, amount: 0 }]
}

function liftedRules(world: World): Relief[] {
  const { snapshot } = world
  const { rules } = snapshot
  const groups = rules.groups
    .filter(group => group.hard)
    .filter(group =>
      works(world, { ...snapshot, rules: { ...rules, groups: rules.groups.filter(each => each !== group) } }),
    )
    .map(liftRuleText)
  const pins = rules.vms
    .filter(rule => rule.blades.length > 0)
    .filter(rule =>
      works(world, {
        ...snapshot,
        rules: { ...rules, vms: rules.vms.map(each => (each === rule ? { ...each, blades: [] } : each)) },
      }),
    )
    .map(unpinText)
  return [...groups, ...pins].map(text => ({ kind: 'rule', text, blades: [], amount: 0 }))
}

function works(world: World, snapshot: FleetSnapshot): boolean {
  const { model, indexOf } = compiledOf(world, snapshot)
  return world.fitsAll(
    model,
    world.leaving.map(vm => indexOf(vm.id)),
  )
}

/** Like the largest that is in use, and empty. */
function oneMoreBlade(world: World, { blades }: Compiled): Relief[] {
  const like = blades
    .map(each => each.blade)
    .filter(isOpen)
    .sort(
      (a, b) => (b.capacity?.memoryBytes ?? 0) - (a.capacity?.memoryBytes ?? 0) || (a.name < b.name ? -1 : 1),
    )[0]
  if (like?.capacity === undefined) return []
  const pools = like.capacity.pools.map(pool => ({ ...pool, freeBytes: pool.sizeBytes, reclaimableBytes: 0 }))
  const added = {
    ...like,
    name: `${like.name} (another)`,
    reservations: [],
    capacity: { ...like.capacity, pools },
  }
  const { snapshot } = world
  if (!works(world, { ...snapshot, blades: [...snapshot.blades, added] })) return []
  return [{ kind: 'blade', text: `one more blade like ${like.name}`, blades: [], amount: 1 }]
}
