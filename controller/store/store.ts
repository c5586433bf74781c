import type Database from 'better-sqlite3'
import { openDatabase } from '../../shared/sqlite.ts'
import { type AlertStore, createAlertStore } from './alerts.ts'
import { type BackupStore, createBackupStore } from './backups.ts'
import { type BladeStore, createBladeStore } from './blades.ts'
import { type CaseStore, createCaseStore } from './cases.ts'
import { createEvacuationStore, type EvacuationStore } from './evacuations.ts'
import { MIGRATIONS } from './migrations.ts'
import { createOperationStore, type OperationStore } from './operations.ts'
import { createOrderStore, type OrderStore } from './orders.ts'
import { createOutboxStore, type OutboxStore } from './outbox.ts'
import { createPlanStore, type PlanStore } from './plans.ts'
import { createPointStore, type PointStore } from './points.ts'
import { createSettingStore, type SettingStore } from './settings.ts'
import { createSql } from './sql.ts'
import { createStoryStore, type StoryStore } from './stories.ts'
import { createTagStore, type TagStore } from './tags.ts'
import { createTokenStore, type TokenStore } from './tokens.ts'
import { createVaultStore, type VaultStore } from './vaults.ts'
import { createVmStore, type VmStore } from './vms.ts'

/** Everything the controller remembers. Rows in, domain out, no policy; synchronous (store/sql.ts says why). */
export interface Store {
  readonly blades: BladeStore
  readonly tokens: TokenStore
  readonly vms: VmStore
  readonly cases: CaseStore
  readonly alerts: AlertStore
  readonly outbox: OutboxStore
  readonly plans: PlanStore
  readonly evacuations: EvacuationStore
  readonly operations: OperationStore
  readonly orders: OrderStore
  readonly settings: SettingStore
  readonly stories: StoryStore
  readonly vaults: VaultStore
  readonly points: PointStore
  readonly tags: TagStore
  readonly backups: BackupStore
  /** All or nothing, without an await inside; nested calls join. */
  transaction<Result>(act: () => Result): Result
  /** For the saga journal, which lives in the same database. */
  readonly database: Database.Database
  close(): void
}

/** Opens (and migrates) the database; `:memory:` for tests. Throws when its schema is newer than this program. */
export function openStore(path: string): Store {
  const database = openDatabase(path, MIGRATIONS)
  const sql = createSql(database)
  return {
    blades: createBladeStore(sql),
    tokens: createTokenStore(sql),
    vms: createVmStore(sql),
    cases: createCaseStore(sql),
    alerts: createAlertStore(sql),
    outbox: createOutboxStore(sql),
    plans: createPlanStore(sql),
    evacuations: createEvacuationStore(sql),
    operations: createOperationStore(sql),
    orders: createOrderStore(sql),
    settings: createSettingStore(sql),
    stories: createStoryStore(sql),
    vaults: createVaultStore(sql),
    points: createPointStore(sql),
    tags: createTagStore(sql),
    backups: createBackupStore(sql),
    transaction: act => sql.transaction(act),
    database,
    close: () => database.close(),
  }
}
