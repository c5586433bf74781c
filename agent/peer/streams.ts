import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'

/**
 * Joins two byte streams, each end to the other's start. Back pressure both ways; one direction may end while the
 * other goes on (half-close); an error of either destroys both, so that no side waits for a dead one.
 * Resolves when both directions ended; rejects with the first error.
 */
export async function joinStreams(first: Duplex, second: Duplex): Promise<void> {
  // Two pipelines on one stream are a dozen listeners; the warning at eleven means leaks, and this is none.
  first.setMaxListeners(24)
  second.setMaxListeners(24)
  try {
    await Promise.all([pipeline(first, second), pipeline(second, first)])
  } catch (error) {
    first.destroy()
    second.destroy()
    throw error
  }
}

/** Reads up to the first newline and not a byte further. Errors: `timeout`, `bad-input` (too long), `unavailable`. */
export async function readLine(
  socket: Duplex,
  limits: { maxBytes: number; timeoutMs: number },
  clock: Clock,
): Promise<string> {
  const done = new AbortController()
  const line = collectLine(socket, limits.maxBytes, done.signal)
  const late = clock.sleep(limits.timeoutMs, done.signal).then(() => undefined)
  try {
    const text = await Promise.race([line, late])
    if (text === undefined) throw new LifeboatError('timeout', `no line within ${limits.timeoutMs} ms`)
    return text
  } finally {
    done.abort()
    line.catch(() => {})
  }
}

function collectLine(socket: Duplex, maxBytes: number, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let lengthBytes = 0
    const finish = (settle: () => void): void => {
      socket.off('readable', onReadable)
      socket.off('end', onEnd)
      socket.off('close', onEnd)
      socket.off('error', onError)
      settle()
    }
    const onError = (error: Error): void =>
      finish(() => reject(new LifeboatError('unavailable', 'the connection broke', { cause: error })))
    const onEnd = (): void =>
      finish(() => reject(new LifeboatError('unavailable', 'the connection ended before its first line')))
    const onReadable = (): void => {
      for (
        let chunk = socket.read() as Buffer | null;
        chunk !== null;
        chunk = socket.read() as Buffer | null
      ) {
        const newline = chunk.indexOf(10)
        if (newline >= 0) {
          const rest = chunk.subarray(newline + 1)
          chunks.push(chunk.subarray(0, newline))
          // What follows the line is the first of the raw bytes: it goes back for the next reader.
          finish(() => {
            if (rest.length > 0) socket.unshift(rest)
            resolve(Buffer.concat(chunks).toString('utf8'))
          })
          return
        }
        lengthBytes += chunk.length
        if (lengthBytes > maxBytes) {
          finish(() =>
            reject(new LifeboatError('bad-input', `the first line is longer than ${maxBytes} bytes`)),
          )
          return
        }
        chunks.push(chunk)
      }
    }
    signal.addEventListener('abort', () => finish(() => reject(new LifeboatError('aborted', 'stopped'))), {
      once: true,
    })
    socket.on('readable', onReadable)
    socket.on('end', onEnd)
    socket.on('close', onEnd)
    socket.on('error', onError)
    onReadable()
  })
}
