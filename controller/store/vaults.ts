import { VaultStatus } from '../../proto/gen/lifeboat/v1/vault.ts'
import { createRowMap } from './row-map.ts'
import type { Sql } from './sql.ts'
import type { VaultTable } from './tables.ts'

/** A vault as the controller remembers it. What it last said stays while it is away. */
export interface VaultRecord {
  readonly name: string
  /** host:port of its door for the controller. */
  readonly address: string
  readonly addedAt: number
  /** 0: the token has not been used yet. */
  readonly joinedAt: number
  readonly version: string
  /** Undefined until it answered for the first time. */
  readonly status: VaultStatus | undefined
  /** When it last answered; 0: never. */
  readonly seenAt: number
  /** How far its clock was ahead of ours then. */
  readonly clockOffsetMs: number
  /** Why it does not answer; empty when it does. */
  readonly error: string
  /** Since when it does not; 0 when it does. */
  readonly failingSince: number
}

export interface VaultStore {
  list(): VaultRecord[]
  get(name: string): VaultRecord | undefined
  add(vault: Pick<VaultRecord, 'name' | 'address' | 'addedAt'>): void
  update(name: string, change: Partial<Omit<VaultRecord, 'name'>>): void
  /** Its certificates, and what is known of its restore points, go with it; the points themselves stay where they are. */
  remove(name: string): void
  addCertificate(name: string, fingerprint: string, notAfter: number): void
  /** From now on only this one speaks for the vault. */
  replaceCertificates(name: string, fingerprint: string, notAfter: number): void
  hasCertificate(name: string, fingerprint: string): boolean
}

const ROWS = createRowMap<VaultRecord, VaultTable>(
  {
    name: 'name',
    address: 'address',
    addedAt: 'added_at',
    joinedAt: 'joined_at',
    version: 'version',
    status: 'status',
    seenAt: 'seen_at',
    clockOffsetMs: 'clock_offset_ms',
    error: 'error',
    failingSince: 'failing_since',
  },
  ['status'],
)

/** Over the tables `vaults` and `vault_certificates`. */
export function createVaultStore(sql: Sql): VaultStore {
  const addCertificate: VaultStore['addCertificate'] = (vault, fingerprint, notAfter) => {
    sql.run(sql.build.insertInto('vault_certificates').values({ fingerprint, vault, not_after: notAfter }))
  }
  return {
    list: () => sql.all(sql.build.selectFrom('vaults').selectAll().orderBy('name')).map(fromRow),
    get: name => {
      const row = sql.first(sql.build.selectFrom('vaults').selectAll().where('name', '=', name))
      return row && fromRow(row)
    },
    add: vault => {
      const record: VaultRecord = {
        ...vault,
        joinedAt: 0,
        version: '',
        status: undefined,
        seenAt: 0,
        clockOffsetMs: 0,
        error: '',
        failingSince: 0,
      }
      sql.run(sql.build.insertInto('vaults').values(ROWS.toRow(record) as unknown as VaultTable))
    },
    update: (name, change) => {
      if (Object.keys(change).length === 0) return
      sql.run(sql.build.updateTable('vaults').set(ROWS.toRow(change)).where('name', '=', name))
    },
    remove: name => {
      sql.run(sql.build.deleteFrom('vaults').where('name', '=', name))
    },
    addCertificate,
    replaceCertificates: (vault, fingerprint, notAfter) => {
      sql.run(sql.build.deleteFrom('vault_certificates').where('vault', '=', vault))
      addCertificate(vault, fingerprint, notAfter)
    },
    hasCertificate: (vault, fingerprint) =>
      sql.first(
        sql.build
          .selectFrom('vault_certificates')
          .select('fingerprint')
          .where('vault', '=', vault)
          .where('fingerprint', '=', fingerprint),
      ) !== undefined,
  }
}

/** A status of an older version lacks the newer fields. */
function fromRow(row: VaultTable): VaultRecord {
  const record = ROWS.fromRow(row)
  return { ...record, status: record.status && VaultStatus.fromPartial(record.status) }
}
