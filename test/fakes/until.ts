import { systemClock } from '../../shared/clock.ts'

const LOOK_AGAIN_MS = 15

/**
 * Waits for something the code under test does in its own time. Not a timed assertion: the limit only turns a test
 * that would hang into one that says what it waited for. `describe` adds what is known at that moment.
 */
export async function until<Value>(
  what: string,
  look: () => Promise<Value | undefined | false> | Value | undefined | false,
  options: { limitMs?: number; describe?: () => string } = {},
): Promise<Value> {
  const limitAt = systemClock.now() + (options.limitMs ?? 60_000)
  for (;;) {
    const value = await look()
    if (value !== undefined && value !== false) return value
    if (systemClock.now() > limitAt) {
      throw new Error(`waited in vain until ${what}\n${options.describe?.() ?? ''}`)
    }
    await systemClock.sleep(LOOK_AGAIN_MS)
  }
}
