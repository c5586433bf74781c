import type { Http2Session } from 'node:http2'
import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'

const PING_EVERY_MS = 5000
const PING_LIMIT_MS = 9000

/**
 * Pings the other end for as long as the connection lives. A network that was cut tells nobody; with this both ends
 * know within 15 s, and the vault ends the backups of that connection.
 */
export async function keepAlive(session: Http2Session, clock: Clock): Promise<void> {
  const over = new AbortController()
  session.once('close', () => over.abort())
  while (!over.signal.aborted) {
    await clock.sleep(PING_EVERY_MS, over.signal)
    if (over.signal.aborted || (await isAnswering(session, clock, over.signal))) continue
    session.destroy(new LifeboatError('unavailable', `no sign of life for ${PING_LIMIT_MS / 1000} s`))
  }
}

async function isAnswering(session: Http2Session, clock: Clock, closed: AbortSignal): Promise<boolean> {
  const answered = new AbortController()
  const limit = clock.sleep(PING_LIMIT_MS, AbortSignal.any([closed, answered.signal]))
  try {
    session.ping(error => {
      if (error === null) answered.abort()
    })
  } catch {
    // Closed between the look and the ping.
    return true
  }
  await limit
  return answered.signal.aborted || closed.aborted
}
