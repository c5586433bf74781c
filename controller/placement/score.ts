import type { VmView } from '../fleet/snapshot.ts'
import type { Candidate } from './filters.ts'
import { wishesKept } from './groups.ts'
import type { BladeScore } from './plan.ts'
import { findPool, type Room, usableMemoryBytes, usedMemoryBytes, volumeNeeds, withArrival } from './room.ts'

/**
 * Points for each part, 100 in all but for the wishes, which only VMs in soft groups have. What is shortest in a small
 * fleet weighs most: memory cannot be lent, four places a blade are few, disks are roomy. Power keeps VMs off a chassis
 * that has already lost a supply, as long as there is another one; on its own it never beats two free places.
 */
const WEIGHTS = {
  /** Share of the blade's memory that stays free. */
  memory: 40,
  /** Share of its VM places that stay free. */
  places: 30,
  /** Share of the pools that stays free, of the one that is fullest afterwards. */
  storage: 20,
  /** All power supplies of the chassis work, as far as the blade can read them. */
  power: 10,
  /** Soft groups of the VM that are kept there: more than all of its memory would, for a wish is a wish for this VM. */
  wishes: 50,
} as const

/** How well the VM would sit in this room: more is better. The parts are rounded, and the total is their sum. */
export function scoreRoom(asked: Pick<Candidate, 'vm' | 'room' | 'fleet' | 'company'>): BladeScore {
  const { room, vm } = asked
  const after = withArrival(room, vm)
  const usable = usableMemoryBytes(after)
  const { maxVms } = after.blade
  const shares = {
    memory: usable === 0 ? 0 : (usable - usedMemoryBytes(after)) / usable,
    places: maxVms === 0 ? 0 : (maxVms - after.vms.size) / maxVms,
    storage: freeStorageShare(after, vm),
    power: hasLostSupply(after) ? 0 : 1,
  }
  const wishes = wishesKept(asked)
  const parts: Record<string, number> = {
    memory: points(WEIGHTS.memory, shares.memory),
    places: points(WEIGHTS.places, shares.places),
    storage: points(WEIGHTS.storage, shares.storage),
    power: points(WEIGHTS.power, shares.power),
    ...(wishes === undefined ? {} : { wishes: points(WEIGHTS.wishes, wishes) }),
  }
  const total = Object.values(parts).reduce((sum, part) => sum + part, 0)
  return { blade: room.blade.name, total: round(total), parts }
}

/** Best first; equal ones by name, so that the same fleet always gives the same plan. */
export function compareScores(a: BladeScore, b: BladeScore): number {
  if (a.total !== b.total) return b.total - a.total
  return a.blade < b.blade ? -1 : 1
}

function freeStorageShare(room: Room, vm: VmView): number {
  const shares = volumeNeeds(vm).map(need => {
    const pool = findPool(room, need)
    return pool === undefined || pool.sizeBytes === 0 ? 0 : pool.availableBytes / pool.sizeBytes
  })
  return Math.min(1, ...shares)
}

function hasLostSupply(room: Room): boolean {
  return room.blade.facts.some(
    fact =>
      fact.kind === 'power' &&
      fact.supplies.some(supply => supply.state === 'failed' || supply.state === 'ac-lost'),
  )
}

function points(weight: number, share: number): number {
  return round(weight * Math.max(0, Math.min(1, share)))
}

/** Two places: enough to tell blades apart, few enough to read. */
function round(value: number): number {
  return Math.round(value * 100) / 100
}
