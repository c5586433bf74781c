import { isBySeenWriter } from '../backup/find-point.ts'
import { isVerified } from '../backup/standing.ts'
import type { PointRecord } from '../store/points.ts'

/** The restore point a VM would come back from. */
export interface ReturnPoint {
  readonly name: string
  readonly at: number
  /** Of all its disks. */
  readonly sizeBytes: number
  /** Hashed again or booted since it was written. */
  readonly verified: boolean
}

/** What the vaults have of a VM, by its id; undefined: nothing it could come back from. */
export type PointOf = (vmId: string) => ReturnPoint | undefined

/**
 * The newest verified one; where none is verified, the newest whole one. `points`: of one VM, the newest first. One that a
 * blade wrote where the VM never was is not taken by itself: it may hold anything.
 */
export function returnPoint(
  points: readonly PointRecord[],
  bladesOf: (vmId: string) => ReadonlySet<string>,
): ReturnPoint | undefined {
  const whole = points.filter(point => point.state === 'whole' && isBySeenWriter(point, bladesOf))
  const chosen = whole.find(isVerified) ?? whole[0]
  if (chosen === undefined) return undefined
  const { point: name, at, sizeBytes } = chosen
  return { name, at, sizeBytes, verified: isVerified(chosen) }
}
