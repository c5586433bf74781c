import { formatDuration, plural } from '../../shared/domain/units.ts'
import type { Loss } from './losses.ts'

/** One sentence without a full stop: `blade03 takes 4 VMs with it: all find a place, the last is back after about 12 min`. */
export function lossText({
  kind,
  name,
  blades,
  bladesLeft,
  returns,
  unplaced,
  withoutPoint,
  allBackMs,
}: Omit<Loss, 'relief'>): string {
  const what = kind === 'blade' ? name : `${kind} ${name}`
  if (blades.length === 0) return `no blade depends on ${what} alone`
  const count = returns.length + unplaced.length
  if (count === 0) return `${what} takes no VM with it`
  const time = allBackMs === 0 ? '' : `, the last is back after about ${formatDuration(allBackMs)}`
  const lost =
    withoutPoint.length === 0 ? '' : `; ${withoutPoint.length} without a restore point to come back from`
  return `${what} takes ${plural(count, 'VM')} with it: ${placesText(unplaced.length, count, bladesLeft)}${time}${lost}`
}

function placesText(unplaced: number, count: number, bladesLeft: number): string {
  if (unplaced === 0) return 'all find a place'
  if (bladesLeft === 0) return 'no blade is left to take them'
  return unplaced === count ? 'none finds a place' : `no place for ${unplaced} of them`
}
