import type { Clock } from '../../shared/clock.ts'
import { HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'
import { formatErrorChain } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import { type Loop, startLoop } from '../loop.ts'
import type { KeptVolume, Volumes } from '../storage/volumes.ts'
import type { KeptRow, KeptStore } from '../store/kept-store.ts'

/** A kept volume without a row (the database was lost) gets a full grace from the moment it is found. */
const FOUND_GRACE_MS = 24 * HOUR_MS
/** Nobody waits for this to the minute; each round asks LVM once. */
const ROUND_MS = 30 * MINUTE_MS

export interface SweepPlan {
  readonly drop: readonly KeptRow[]
  /** Kept volumes nobody knows the end of. */
  readonly found: readonly KeptVolume[]
  /** Rows whose volume is gone: somebody else removed it. */
  readonly forget: readonly KeptRow[]
}

/** What to do about kept volumes. Pure. */
export function planSweep(rows: readonly KeptRow[], volumes: readonly KeptVolume[], now: number): SweepPlan {
  const present = new Set(volumes.map(volume => volume.path))
  const known = new Set(rows.map(row => row.path))
  return {
    drop: rows.filter(row => present.has(row.path) && row.expiresAt <= now),
    found: volumes.filter(volume => !known.has(volume.path)),
    forget: rows.filter(row => !present.has(row.path)),
  }
}

/** Drops source volumes whose grace time is over (rule 3), one round each half hour. */
export function startSweeper(options: {
  readonly volumes: Volumes
  readonly kept: KeptStore
  readonly run: CommandRunner
  readonly clock: Clock
  readonly log: Logger
  readonly tell: (kind: string, vm: string, text: string) => void
  readonly onChange: () => void
}): Loop {
  const { volumes, kept, clock, log } = options

  async function drop(row: KeptRow): Promise<void> {
    await volumes.drop(row.path, options.run)
    kept.remove(row.path)
    log.info(`vm ${row.vmName}: kept volume ${row.path} dropped, its grace time is over`)
    options.tell('volume-dropped', row.vmName, `${row.path} was dropped: its grace time is over`)
    options.onChange()
  }

  async function round(): Promise<void> {
    try {
      const plan = planSweep(kept.list(), await volumes.kept(), clock.now())
      for (const row of plan.forget) kept.remove(row.path)
      for (const { path, moveId, sizeBytes } of plan.found) {
        kept.putIfUnknown({ path, moveId, vmName: '', sizeBytes, expiresAt: clock.now() + FOUND_GRACE_MS })
      }
      for (const row of plan.drop) await drop(row)
    } catch (error) {
      // The next round tries again; room that is needed at once is made by Volumes.create itself.
      log.warn('kept volumes could not be swept', { error: formatErrorChain(error) })
    }
  }

  return startLoop({ clock, intervalMs: ROUND_MS, gatherMs: 0, body: round })
}
