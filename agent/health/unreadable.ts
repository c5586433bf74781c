import type { Fact, ProbeSubject, UnreadableFact } from '../../shared/domain/health.ts'
import { errorCode, formatErrorChain } from '../../shared/errors.ts'

/** The fact that something could not be read, which is never the same as bad (rule 9). */
export function unreadableFact(
  of: ProbeSubject,
  name: string,
  observedAt: number,
  error: unknown,
): UnreadableFact {
  return { kind: 'unreadable', observedAt, of, name, error: formatErrorChain(error) }
}

/**
 * Reads one thing; what goes wrong becomes a fact. A file that is gone gets a second look: a disk or NIC that leaves
 * while we read takes its files along, and the next look sees the host without it.
 */
export async function orUnreadable<F extends Fact>(
  of: ProbeSubject,
  name: string,
  observedAt: number,
  read: () => Promise<F | undefined>,
): Promise<Fact | undefined> {
  try {
    return await read().catch(error => {
      if (errorCode(error) === 'not-found') return read()
      throw error
    })
  } catch (error) {
    return unreadableFact(of, name, observedAt, error)
  }
}
