import type { Sql } from './sql.ts'

/** What a host joins as. */
export type JoinRole = 'blade' | 'vault'

/** An enrolment token at rest: only the hash of its secret (a stolen database joins nothing). */
export interface TokenRecord {
  readonly secretHash: string
  /** Name of the blade or vault. */
  readonly blade: string
  readonly role: JoinRole
  readonly createdAt: number
  readonly expiresAt: number
  /** 0: not used yet. */
  readonly usedAt: number
}

export interface TokenStore {
  add(token: Omit<TokenRecord, 'usedAt'>): void
  get(secretHash: string): TokenRecord | undefined
  /** True for exactly one caller, however many try: the update is conditional. */
  use(secretHash: string, now: number): boolean
  /** A new token for a blade makes the older ones worthless. */
  removeOf(blade: string): void
}

/** Over the table `tokens`. */
export function createTokenStore(sql: Sql): TokenStore {
  return {
    add: token => {
      sql.run(
        sql.build.insertInto('tokens').values({
          secret_hash: token.secretHash,
          blade: token.blade,
          role: token.role,
          created_at: token.createdAt,
          expires_at: token.expiresAt,
          used_at: 0,
        }),
      )
    },
    get: secretHash => {
      const row = sql.first(sql.build.selectFrom('tokens').selectAll().where('secret_hash', '=', secretHash))
      if (row === undefined) return undefined
      return {
        secretHash: row.secret_hash,
        blade: row.blade,
        role: row.role === 'vault' ? 'vault' : 'blade',
        createdAt: row.created_at,
        expiresAt: row.expires_at,
        usedAt: row.used_at,
      }
    },
    use: (secretHash, now) =>
      sql.run(
        sql.build
          .updateTable('tokens')
          .set({ used_at: now })
          .where('secret_hash', '=', secretHash)
          .where('used_at', '=', 0)
          .where('expires_at', '>', now),
      ) === 1,
    removeOf: blade => {
      // Used ones stay: "used" is a better answer than "unknown" to a person who tries one twice.
      sql.run(sql.build.deleteFrom('tokens').where('blade', '=', blade).where('used_at', '=', 0))
    },
  }
}
