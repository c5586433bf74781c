import type { Clock } from '../../shared/clock.ts'
import type { CommandRecord } from '../../shared/domain/operation.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/**
 * A runner that starts no process: every command succeeds and prints nothing. The simulated seams announce through it
 * what they do, so that `lifeboat operation show` has its list of commands without root and without tools.
 */
export function createSimRunner(
  clock: Clock,
  observers: readonly ((record: CommandRecord) => void)[] = [],
): CommandRunner {
  return {
    async run(argv) {
      const startedAt = clock.now()
      const record = { argv: [...argv], exitCode: 0, startedAt, durationMs: 0, stderrTail: '' }
      for (const observe of observers) observe(record)
      return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 }
    },
    follow: () => ({ write: () => {}, stop: () => {} }),
    observed: observer => createSimRunner(clock, [...observers, observer]),
    note: record => {
      for (const observe of observers) observe(record)
    },
  }
}
