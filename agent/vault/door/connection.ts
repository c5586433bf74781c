import type { ServerHttp2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import { readSubject } from '../../../shared/rpc/certificates.ts'
import type { BackupSession, Vault } from '../vault.ts'
import { createBodyBuffers } from './body.ts'
import { CONNECTION_WINDOW_BYTES } from './protocol.ts'
import { answerError, serveRequest } from './request.ts'
import type { SessionTable } from './routes.ts'

/** A connection nobody asks anything on; its owner connects again. */
const IDLE_LIMIT_MS = 10 * 60_000
export interface ConnectionOptions {
  readonly vaultFor: (blade: string) => Vault
  readonly log: Logger
}

/** Resolves when the connection has ended and its backups are aborted. */
export async function serveConnection(
  session: ServerHttp2Session,
  options: ConnectionOptions,
): Promise<void> {
  const { log } = options
  const from = session.socket?.remoteAddress ?? 'unknown'
  const caller = callerOf(session.socket as TLSSocket)
  const who = caller instanceof LifeboatError ? 'nobody' : caller
  const vault = caller instanceof LifeboatError ? undefined : options.vaultFor(caller)
  const open = new Map<string, BackupSession>()
  const sessions = createSessionTable(open)
  const buffers = createBodyBuffers()
  session.setLocalWindowSize(CONNECTION_WINDOW_BYTES)
  session.setTimeout(IDLE_LIMIT_MS, () => {
    if (open.size === 0) session.close()
  })
  session.on('error', () => {})
  session.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    const what = String(headers[':path'])
    serveRequest(stream, headers, vault ?? (caller as LifeboatError), sessions, buffers).catch(error => {
      log.warn('vault door: refused or broken', { from, who, what, error: formatErrorChain(error) })
      answerError(stream, error)
      if (vault === undefined) session.close()
    })
  })
  await new Promise<void>(resolve => session.once('close', resolve))
  for (const [id, backup] of open) {
    await backup.abort().catch(error => log.warn('vault door: cannot abort', { from, who, id, error }))
  }
}

/** The blade a connection speaks for, or why it is none: `not-authenticated`, `not-allowed`. */
function callerOf(socket: TLSSocket): string | LifeboatError {
  if (!socket.authorized) {
    const cause = socket.authorizationError
    return new LifeboatError(
      'not-authenticated',
      'no valid certificate of this fleet',
      cause ? { cause } : {},
    )
  }
  const subject = readSubject(socket.getPeerCertificate())
  if (subject?.role === 'blade') return subject.name
  return new LifeboatError('not-allowed', `a certificate of role '${subject?.role}' may not use this door`)
}

function createSessionTable(open: Map<string, BackupSession>): SessionTable {
  const listed = new Map<string, BackupSession>()
  let count = 0
  return {
    add: session => {
      const id = String(++count)
      open.set(id, session)
      return id
    },
    get: id => {
      const session = open.get(id) ?? listed.get(id)
      if (session !== undefined) return session
      throw new LifeboatError('not-found', 'no such backup on this connection')
    },
    keep: id => {
      const session = open.get(id)
      if (session !== undefined) listed.set(id, session)
      open.delete(id)
    },
    remove: id => void open.delete(id),
  }
}
