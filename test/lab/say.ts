const startedAt = performance.now()

/** One progress line with the seconds since this command began. */
export function say(text: string): void {
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(6)
  process.stderr.write(`[${seconds} s] ${text}\n`)
}

/** Runs one phase and prints a line with its own duration when it is over; a failure names the phase. */
export async function phase<T>(name: string, work: () => Promise<T>): Promise<T> {
  const begunAt = performance.now()
  const took = () => `${((performance.now() - begunAt) / 1000).toFixed(1)} s`
  try {
    const result = await work()
    say(`${name}: ${took()}`)
    return result
  } catch (error) {
    say(`${name}: failed after ${took()}`)
    throw error
  }
}
