import { MINUTE_MS, utcTime } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { momentOfPoint } from '../format/point.ts'
import type { BeginBackup } from '../vault.ts'
import type { StoreContext } from './context.ts'
import { edit } from './damage.ts'
import { endProblems, raiseProblem } from './problems.ts'

/** Restore points are named by the clock of the blade, and retention and restores go by the name. */
const LIMIT_MS = 5 * MINUTE_MS

/**
 * A clock that is off is a problem; one behind costs the order of a few nights, so the backup goes on. Throws `refused`
 * for a restore point of the future: it would be the newest one for as long as that is away, chosen by every restore,
 * and would push the true ones out.
 */
export function checkClock(context: StoreContext, request: BeginBackup, blade: string): void {
  const now = context.clock.now()
  const who = blade === '' ? 'a writer on this host' : blade
  noteClock(context, { about: blade, who, offMs: request.nowAt - now })
  const aheadMs = Math.max(request.nowAt, momentOfPoint(request.point)) - now
  if (aheadMs <= LIMIT_MS) return
  throw new LifeboatError(
    'refused',
    `restore point ${request.point} would lie ${minutes(aheadMs)} min in the future: the clock of ${who} says ${utcTime(request.nowAt)}, the clock of this vault ${utcTime(now)}; set both right (timedatectl)`,
  )
}

function noteClock(
  context: StoreContext,
  { about, who, offMs }: { readonly about: string; readonly who: string; readonly offMs: number },
): void {
  const isKnown = context.records.problems
    .value()
    .some(problem => problem.code === 'clock-off' && problem.about === about)
  if (Math.abs(offMs) <= LIMIT_MS) {
    if (isKnown) edit(context, problems => endProblems(problems, 'clock-off', new Set([about])))
    return
  }
  const [how, follows] =
    offMs > 0
      ? ['ahead of', 'its backups are refused meanwhile']
      : ['behind', 'restore points are named and dropped by these clocks']
  edit(context, problems =>
    raiseProblem(problems, {
      code: 'clock-off',
      about,
      text: `the clock of ${who} is ${minutes(offMs)} min ${how} the clock of this vault: ${follows}; set both right (timedatectl)`,
      chunk: '',
      points: [],
      since: context.clock.now(),
    }),
  )
}

function minutes(ms: number): number {
  return Math.round(Math.abs(ms) / MINUTE_MS)
}
