import type { StorageKind, StoragePool } from '../../shared/domain/fleet.ts'
import type { CreateOptions } from './volumes.ts'

/**
 * Room of one pool (pure). Two limits, and the smaller one counts: what is physically free, and what is left once
 * every volume had been written full. A thin pool or a directory of sparse files can promise more than it has; counting
 * only what is written today would place VMs onto room their neighbours are about to use (rule 5).
 */
export interface Room {
  readonly sizeBytes: number
  readonly physicalFreeBytes: number
  /** Physical room minus what was promised to volumes and not written yet; below zero when over-committed. */
  readonly promisedFreeBytes: number
  readonly kept: readonly KeptHolding[]
}

/** What dropping one kept volume gives back. A kept volume never grows, so it holds no promise. */
export interface KeptHolding {
  readonly path: string
  /** Epoch milliseconds. */
  readonly keptAt: number
  readonly heldBytes: number
}

/** Bytes a new volume may take now; never negative. */
export function freeBytes(room: Room): number {
  return Math.max(0, Math.min(room.physicalFreeBytes, room.promisedFreeBytes))
}

/** How much more that would be with every kept volume dropped. Not their sum: an over-committed pool stays short. */
export function reclaimableBytes(room: Room): number {
  return freeBytes(afterDrops(room, room.kept)) - freeBytes(room)
}

/** How a room is told to the controller. */
export function toPool(name: string, storage: StorageKind, room: Room): StoragePool {
  return {
    name,
    storage,
    sizeBytes: room.sizeBytes,
    freeBytes: freeBytes(room),
    reclaimableBytes: reclaimableBytes(room),
  }
}

export type RoomPlan = { readonly drop: readonly string[] } | { readonly availableBytes: number }

/**
 * Which kept volumes must go so that `neededBytes` fit, oldest first. When all of them would not do, none goes and the
 * answer says what there could be: a kept volume is somebody's way back and is not spent in vain.
 *
 * Only physical room refuses here. That a pool promises more than it has is the placement gate's to refuse, where an
 * administrator can override it (rule 5); a copy that fills a thin pool to the last chunk would stop its other VMs.
 */
export function planDrops(room: Room, neededBytes: number, how: CreateOptions = {}): RoomPlan {
  const droppable = how.sparesKept === true ? [] : room.kept
  const oldestFirst = droppable.toSorted((a, b) => a.keptAt - b.keptAt || (a.path < b.path ? -1 : 1))
  const everything = afterDrops(room, oldestFirst)
  if (everything.physicalFreeBytes < neededBytes) {
    return { availableBytes: Math.max(0, everything.physicalFreeBytes) }
  }
  const enough = freeBytes(everything) >= neededBytes ? freeBytes : (left: Room) => left.physicalFreeBytes
  let count = 0
  while (enough(afterDrops(room, oldestFirst.slice(0, count))) < neededBytes) count += 1
  return { drop: oldestFirst.slice(0, count).map(holding => holding.path) }
}

function afterDrops(room: Room, dropped: readonly KeptHolding[]): Room {
  const heldBytes = dropped.reduce((sum, holding) => sum + holding.heldBytes, 0)
  return {
    ...room,
    physicalFreeBytes: room.physicalFreeBytes + heldBytes,
    promisedFreeBytes: room.promisedFreeBytes + heldBytes,
  }
}
