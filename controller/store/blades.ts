import type { AdminState, BladeReport } from '../../shared/domain/fleet.ts'
import type { Baseline } from '../diagnosis/case.ts'
import { createRowMap } from './row-map.ts'
import type { Sql } from './sql.ts'
import type { BladeTable } from './tables.ts'

/** A blade as the controller remembers it. What it reports now is `report`; what it had at enrolment `baseline`. */
export interface BladeRecord {
  readonly name: string
  readonly chassis: string
  readonly slot: number
  readonly feeds: readonly string[]
  readonly switches: readonly string[]
  /** 0: the fleet's default. */
  readonly maxVms: number
  readonly admin: AdminState
  readonly adminReason: string
  readonly addedAt: number
  /** 0: the token has not been used yet. */
  readonly joinedAt: number
  readonly peerAddress: string
  readonly agentVersion: string
  /** Why its agent was refused at the door (protocol version); empty when it was not. */
  readonly refusal: string
  readonly baseline: Baseline | undefined
  readonly report: BladeReport | undefined
  /** When the newest report arrived, by the controller's clock; 0: never. */
  readonly reportAt: number
}

export interface BladeStore {
  list(): BladeRecord[]
  get(name: string): BladeRecord | undefined
  add(blade: Pick<BladeRecord, 'name' | 'chassis' | 'slot' | 'feeds' | 'switches' | 'addedAt'>): void
  update(name: string, change: Partial<Omit<BladeRecord, 'name'>>): void
  /** Its certificates go with it. */
  remove(name: string): void
  addCertificate(name: string, fingerprint: string, notAfter: number): void
  /** From now on only this one speaks for the blade. */
  replaceCertificates(name: string, fingerprint: string, notAfter: number): void
  hasCertificate(name: string, fingerprint: string): boolean
}

const ROWS = createRowMap<BladeRecord, BladeTable>(
  {
    name: 'name',
    chassis: 'chassis',
    slot: 'slot',
    feeds: 'feeds',
    switches: 'switches',
    maxVms: 'max_vms',
    admin: 'admin',
    adminReason: 'admin_reason',
    addedAt: 'added_at',
    joinedAt: 'joined_at',
    peerAddress: 'peer_address',
    agentVersion: 'agent_version',
    refusal: 'refusal',
    baseline: 'baseline',
    report: 'report',
    reportAt: 'report_at',
  },
  ['feeds', 'switches', 'baseline', 'report'],
)

/** Over the tables `blades` and `blade_certificates`. */
export function createBladeStore(sql: Sql): BladeStore {
  const addCertificate: BladeStore['addCertificate'] = (blade, fingerprint, notAfter) => {
    sql.run(sql.build.insertInto('blade_certificates').values({ fingerprint, blade, not_after: notAfter }))
  }
  return {
    list: () => sql.all(sql.build.selectFrom('blades').selectAll().orderBy('name')).map(ROWS.fromRow),
    get: name => {
      const row = sql.first(sql.build.selectFrom('blades').selectAll().where('name', '=', name))
      return row && ROWS.fromRow(row)
    },
    add: blade => {
      const record: BladeRecord = {
        ...blade,
        maxVms: 0,
        admin: 'in-service',
        adminReason: '',
        joinedAt: 0,
        peerAddress: '',
        agentVersion: '',
        refusal: '',
        baseline: undefined,
        report: undefined,
        reportAt: 0,
      }
      sql.run(sql.build.insertInto('blades').values(ROWS.toRow(record) as unknown as BladeTable))
    },
    update: (name, change) => {
      if (Object.keys(change).length === 0) return
      sql.run(sql.build.updateTable('blades').set(ROWS.toRow(change)).where('name', '=', name))
    },
    remove: name => {
      sql.run(sql.build.deleteFrom('blades').where('name', '=', name))
    },
    addCertificate,
    replaceCertificates: (blade, fingerprint, notAfter) => {
      sql.run(sql.build.deleteFrom('blade_certificates').where('blade', '=', blade))
      addCertificate(blade, fingerprint, notAfter)
    },
    hasCertificate: (blade, fingerprint) =>
      sql.first(
        sql.build
          .selectFrom('blade_certificates')
          .select('fingerprint')
          .where('blade', '=', blade)
          .where('fingerprint', '=', fingerprint),
      ) !== undefined,
  }
}
