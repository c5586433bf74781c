import { chmod, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import type { Server, ServerCredentials } from '@grpc/grpc-js'
import type { Clock } from '../clock.ts'
import { LifeboatError } from '../errors.ts'

export interface ServeAddress {
  /** `0.0.0.0:7420`, `[::]:7420`, port 0 for any free one, or `unix:/run/lifeboat/controller.sock`. */
  readonly address: string
  readonly credentials: ServerCredentials
  /** Of the UNIX socket's file: who may connect. Default 0o600. */
  readonly mode?: number
}

/**
 * Binds all addresses or none; resolves with the ports in their order (1 for a UNIX socket).
 * Errors: `unavailable` with what to do when a port is in use or may not be bound.
 */
export async function serve(server: Server, addresses: readonly ServeAddress[]): Promise<number[]> {
  const ports: number[] = []
  try {
    for (const { address, credentials, mode } of addresses) {
      const path = unixPath(address)
      if (path !== undefined) await removeStaleSocket(path)
      ports.push(await bind(server, address, credentials))
      if (path !== undefined) await chmod(path, mode ?? 0o600)
    }
  } catch (error) {
    server.forceShutdown()
    throw error
  }
  return ports
}

async function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return await new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port)
      else reject(bindFailure(address, error))
    })
  })
}

function bindFailure(address: string, error: Error): LifeboatError {
  const port = address.slice(address.lastIndexOf(':') + 1)
  if (error.message.includes('EADDRINUSE')) {
    const message = `port ${port} is in use: \`ss -ltnp 'sport = :${port}'\` shows by whom`
    return new LifeboatError('unavailable', message, { cause: error })
  }
  return new LifeboatError('unavailable', `cannot listen on ${address}`, { cause: error })
}

function unixPath(address: string): string | undefined {
  return address.startsWith('unix:') ? address.slice('unix:'.length) : undefined
}

/** A killed process leaves its socket file behind; it is removed only when nobody answers on it. */
async function removeStaleSocket(path: string): Promise<void> {
  if (await isAnswering(path)) {
    throw new LifeboatError('unavailable', `${path} is in use: another process answers on it`)
  }
  try {
    await unlink(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw new LifeboatError('unavailable', `cannot remove the old socket ${path}`, { cause: error })
  }
}

async function isAnswering(path: string): Promise<boolean> {
  return await new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/** Lets calls under way end, at most `limitMs`, then cuts them. Streams that never end should be ended before. */
export async function stopServer(server: Server, limitMs: number, clock: Clock): Promise<void> {
  const over = new AbortController()
  const graceful = new Promise<void>(resolve => server.tryShutdown(() => resolve()))
  await Promise.race([graceful, clock.sleep(limitMs, over.signal)])
  over.abort()
  server.forceShutdown()
}
