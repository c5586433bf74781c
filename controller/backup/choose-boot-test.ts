import type { PointRecord } from '../store/points.ts'

/** When restore points of a VM were last tried, and how. */
export interface BootTry {
  readonly vmId: string
  readonly point: string
  readonly at: number
}

/**
 * Which restore point is booted next: of the VM that was never tried, or not for longest. Its newest whole one: that is
 * the one a recovery would take. A VM that was tried since `notTriedSince` (this night) is left out, whatever came of
 * it, so that one that cannot be tried keeps no other from its turn. Pure.
 */
export function chooseBootTest(
  points: readonly PointRecord[],
  tries: readonly BootTry[],
  notTriedSince: number,
): PointRecord | undefined {
  const lastTry = new Map<string, number>()
  for (const { vmId, at } of tries) lastTry.set(vmId, Math.max(at, lastTry.get(vmId) ?? 0))
  const triedAt = (point: PointRecord) => lastTry.get(point.vmId) ?? 0
  return [...Map.groupBy(points, point => point.vmId).values()]
    .flatMap(own => own.filter(point => point.state === 'whole').toSorted((a, b) => b.at - a.at)[0] ?? [])
    .filter(point => triedAt(point) < notTriedSince)
    .sort(
      (a, b) => triedAt(a) - triedAt(b) || (a.vm < b.vm ? -1 : a.vm > b.vm ? 1 : a.vmId < b.vmId ? -1 : 1),
    )[0]
}
