import { createHash } from 'node:crypto'
import type { IdSource } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { formatJoinToken } from '../../shared/rpc/join-token.ts'
import type { TokenStore } from '../store/tokens.ts'

export const DEFAULT_TOKEN_TTL_MINUTES = 60

/** What is kept of a secret: it cannot be read back from the database. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** A new token; earlier unused ones of that blade become worthless. Only the hash of its secret is kept. */
export function issueToken(
  tokens: TokenStore,
  ids: IdSource,
  blade: string,
  authority: string,
  now: number,
  ttlMs: number,
): { text: string; expiresAt: number } {
  // Two random UUIDs: 244 bits, from the one door to chance.
  const secret = `${ids.next()}${ids.next()}`.replaceAll('-', '')
  const expiresAt = now + ttlMs
  tokens.removeOf(blade)
  tokens.add({ secretHash: hashSecret(secret), blade, createdAt: now, expiresAt })
  return { text: formatJoinToken({ blade, secret, authority, expiresAt }), expiresAt }
}

/**
 * The blade this secret may join as; the token is *not* used up yet (`TokenStore.use` does that, once).
 * Throws `not-authenticated` saying which: unknown, expired or used.
 */
export function checkSecret(tokens: TokenStore, secret: string, now: number): string {
  const token = tokens.get(hashSecret(secret))
  if (token === undefined) throw refusal('this token is not known here')
  const again = `; \`lifeboat blade add ${token.blade}\` makes a new one`
  if (token.usedAt > 0) throw refusal(`the token of ${token.blade} has been used already${again}`)
  if (token.expiresAt <= now) throw refusal(`the token of ${token.blade} has expired${again}`)
  return token.blade
}

function refusal(message: string): LifeboatError {
  return new LifeboatError('not-authenticated', message)
}
