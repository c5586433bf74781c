import type { StorageKind } from '../../shared/domain/fleet.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { BladeView, FleetSnapshot } from '../fleet/snapshot.ts'

/** Changes to a fleet that nobody makes: they are only asked about. */
export interface WhatIf {
  /** Blades that go. */
  readonly remove: readonly string[]
  readonly addVms: readonly NewVm[]
  readonly addBlades: readonly NewBlade[]
}

export interface NewVm {
  /** Empty: new-vm. */
  readonly name: string
  readonly count: number
  readonly memoryBytes: number
  readonly vcpus: number
  readonly disksBytes: readonly number[]
  /** Empty: the pool that most volumes of the fleet are in. */
  readonly pool: string
  readonly networks: readonly string[]
}

export interface NewBlade {
  /** The blade it is a copy of, empty and sound. */
  readonly like: string
  /** Empty: new-blade. */
  readonly name: string
  readonly count: number
  /** 0: as that blade. */
  readonly memoryBytes: number
  readonly maxVms: number
  /** Empty: as that blade. */
  readonly chassis: string
}

/** More of one kind than these is a slip of the finger. */
const MOST_NEW = 1_000
const EXAMPLE =
  'for example: lifeboat what-if --remove blade03 --add-vm mem=8G,disk=100G,count=2 --add-blade like=blade01'

/**
 * Throws with every problem: `not-found` when all that is wrong is that blades are not there, as any command does of a
 * blade; else `bad-input`, and an example.
 */
export function checkWhatIf(snapshot: FleetSnapshot, wish: WhatIf): void {
  const unknown = unknownBlades(snapshot, wish)
  const wrong = problemsOf(snapshot, wish)
  if (wrong.length > 0) {
    const details = [...unknown, ...wrong, EXAMPLE]
    throw new LifeboatError('bad-input', 'what-if cannot be answered', { details })
  }
  if (unknown.length > 0) throw new LifeboatError('not-found', unknown.join('; '))
}

function unknownBlades({ blades }: FleetSnapshot, { remove, addBlades }: WhatIf): string[] {
  const known = new Set(blades.map(blade => blade.name))
  const names = [...known].sort().join(', ')
  const asked = new Set([...remove, ...addBlades.map(blade => blade.like)])
  return [...asked].filter(name => !known.has(name)).map(name => `there is no blade ${name}, only ${names}`)
}

function problemsOf(snapshot: FleetSnapshot, wish: WhatIf): string[] {
  const problems: string[] = []
  if (wish.remove.length + wish.addVms.length + wish.addBlades.length === 0)
    problems.push('nothing is changed')
  const added = [...wish.addVms, ...wish.addBlades].reduce((sum, { count }) => sum + count, 0)
  if (added > MOST_NEW) problems.push(`more than ${MOST_NEW} new VMs and blades at once are not looked into`)
  for (const vm of wish.addVms) problems.push(...vmProblems(snapshot, vm))
  for (const blade of wish.addBlades) {
    const model = snapshot.blades.find(each => each.name === blade.like)
    if (model !== undefined) problems.push(...bladeProblems(model, blade))
  }
  const made = [
    ...snapshot.blades.map(blade => blade.name).filter(name => !wish.remove.includes(name)),
    ...wish.addBlades.flatMap(({ name, count }) => namesOf(name, 'new-blade', Math.min(count, MOST_NEW))),
  ]
  const twice = made.filter((name, index) => made.indexOf(name) < index)
  if (twice.length > 0) problems.push(`there would be two blades called ${[...new Set(twice)].join(', ')}`)
  return problems
}

function vmProblems(snapshot: FleetSnapshot, vm: NewVm): string[] {
  const what = vm.name || 'a new VM'
  const problems = countProblems(what, vm.count)
  if (!isSize(vm.memoryBytes) || vm.memoryBytes === 0) problems.push(`${what} needs memory, as mem=8G`)
  if (vm.vcpus < 0) problems.push(`${what} cannot have ${vm.vcpus} vCPUs`)
  if (vm.disksBytes.some(bytes => !isSize(bytes) || bytes === 0)) {
    problems.push(`a disk of ${what} has no size, as disk=100G`)
  }
  if (vm.pool !== '' && poolNamed(snapshot, vm.pool) === undefined) {
    const there = [...new Set(poolsOf(snapshot).map(pool => pool.name))].sort().join(', ')
    problems.push(`no blade has the storage ${vm.pool}, only ${there || 'none'}`)
  }
  if (vm.pool === '' && vm.disksBytes.length > 0 && usualPool(snapshot) === undefined) {
    problems.push(`no blade has storage for a disk of ${what}`)
  }
  const taken = namesOf(vm.name, 'new-vm', Math.min(vm.count, MOST_NEW))
  const existing = snapshot.vms.find(each => taken.includes(each.name))
  if (existing !== undefined)
    problems.push(`there is a VM called ${existing.name} already, on ${existing.blade}`)
  return problems
}

function bladeProblems(model: BladeView, blade: NewBlade): string[] {
  const what = blade.name || `a blade like ${blade.like}`
  const problems = countProblems(what, blade.count)
  const { capacity } = model
  if (blade.maxVms < 0) problems.push(`${what} cannot have a limit of ${blade.maxVms} VMs`)
  if (capacity === undefined) problems.push(`${blade.like} has not reported yet, so nothing can be like it`)
  else if (!isSize(blade.memoryBytes)) problems.push(`the memory of ${what} cannot be read`)
  else if (blade.memoryBytes > 0 && blade.memoryBytes <= capacity.reservedMemoryBytes) {
    problems.push(
      `${what} would have less memory than the ${formatBytes(capacity.reservedMemoryBytes)} that it keeps for itself`,
    )
  }
  return problems
}

function countProblems(what: string, count: number): string[] {
  if (Number.isSafeInteger(count) && count >= 1 && count <= MOST_NEW) return []
  return [`of ${what} there may be 1 to ${MOST_NEW}, not ${count}`]
}

/** 2^53 bytes are 8 PiB: enough for a fleet, and still counted exactly. */
function isSize(bytes: number): boolean {
  return Number.isSafeInteger(bytes) && bytes >= 0
}

/** `web1`, `web2`, …; a single one that was named has that very name. */
export function namesOf(name: string, fallback: string, count: number): string[] {
  const base = name || fallback
  if (name !== '' && count === 1) return [base]
  return Array.from({ length: Math.max(0, count) }, (_, index) => `${base}${index + 1}`)
}

export interface Pool {
  readonly name: string
  readonly storage: StorageKind
}

function poolsOf({ blades }: FleetSnapshot): Pool[] {
  return blades.flatMap(blade => blade.capacity?.pools ?? [])
}

/** The first of that name. */
export function poolNamed(snapshot: FleetSnapshot, name: string): Pool | undefined {
  return poolsOf(snapshot).find(pool => pool.name === name)
}

/** The one most volumes are in; in a fleet without VMs, the one most blades have. */
export function usualPool(snapshot: FleetSnapshot): Pool | undefined {
  const volumes = snapshot.vms
    .flatMap(vm => vm.volumes)
    .map(volume => ({ name: volume.pool, storage: volume.storage }))
  const all: readonly Pool[] = volumes.length > 0 ? volumes : poolsOf(snapshot)
  const counted = [...Map.groupBy(all, pool => `${pool.name} ${pool.storage}`)].sort(
    ([a, some], [b, others]) => others.length - some.length || (a < b ? -1 : 1),
  )
  return counted[0]?.[1][0]
}
