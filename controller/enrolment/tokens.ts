import { createHash } from 'node:crypto'
import type { IdSource } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { formatJoinToken } from '../../shared/rpc/join-token.ts'
import type { JoinRole, TokenRecord, TokenStore } from '../store/tokens.ts'

export const DEFAULT_TOKEN_TTL_MINUTES = 60

/** What is kept of a secret: it cannot be read back from the database. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** A new token; earlier unused ones of that blade or vault become worthless. Only the hash of its secret is kept. */
export function issueToken(
  tokens: TokenStore,
  ids: IdSource,
  { name: blade, role }: { readonly name: string; readonly role: JoinRole },
  authority: string,
  now: number,
  ttlMs: number,
): { text: string; expiresAt: number } {
  // Two random UUIDs: 244 bits, from the one door to chance.
  const secret = `${ids.next()}${ids.next()}`.replaceAll('-', '')
  const expiresAt = now + ttlMs
  tokens.removeOf(blade)
  tokens.add({ secretHash: hashSecret(secret), blade, role, createdAt: now, expiresAt })
  return { text: formatJoinToken({ blade, role, secret, authority, expiresAt }), expiresAt }
}

/**
 * Who this secret may join as; the token is *not* used up yet (`TokenStore.use` does that, once).
 * Throws `not-authenticated` saying which: unknown, expired or used.
 */
export function checkSecret(tokens: TokenStore, secret: string, now: number): TokenRecord {
  const token = tokens.get(hashSecret(secret))
  if (token === undefined) throw refusal('this token is not known here')
  const again = `; \`lifeboat ${token.role} add ${token.blade}\` makes a new one`
  if (token.usedAt > 0) throw refusal(`the token of ${token.blade} has been used already${again}`)
  if (token.expiresAt <= now) throw refusal(`the token of ${token.blade} has expired${again}`)
  return token
}

function refusal(message: string): LifeboatError {
  return new LifeboatError('not-authenticated', message)
}
