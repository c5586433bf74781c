import type Database from 'better-sqlite3'
import type { BackupHistory } from '../backup/due.ts'
import { type BackupSettings, NO_BACKUPS } from '../backup/settings.ts'

/** The last backup of a VM by this blade, and how it ended. */
export interface BackupOutcome {
  readonly vmId: string
  readonly endedAt: number
  /** '' when it failed. */
  readonly point: string
  /** The moment of the restore point; 0 when it failed. */
  readonly at: number
  /** Why it failed. */
  readonly error: string
}

export interface BackupStore {
  /** What the controller said last; NO_BACKUPS before it said anything. */
  settings(): BackupSettings
  /** Whole; false when nothing is new in it. */
  putSettings(settings: BackupSettings): boolean
  history(vmId: string): BackupHistory | undefined
  /** From now on this blade backs the VM up; nothing for one it knows. */
  meet(vmId: string, now: number): void
  /** VMs that are not here any more: should one come back, it is met anew. */
  forgetOthers(vmIds: readonly string[]): void
  record(outcome: BackupOutcome): void
}

interface OutcomeRow {
  known_since: number
  last_attempt_at: number
  last_success_at: number
  failures: number
}

/** Settings and outcomes in the agent's database. */
export function createBackupStore(db: Database.Database): BackupStore {
  const selectSettings = db.prepare('SELECT settings FROM backup_settings WHERE id = 1')
  const upsertSettings = db.prepare(
    `INSERT INTO backup_settings (id, settings) VALUES (1, ?)
     ON CONFLICT (id) DO UPDATE SET settings = excluded.settings`,
  )
  const select = db.prepare('SELECT * FROM backup_outcomes WHERE vm_id = ?')
  const insert = db.prepare(
    'INSERT INTO backup_outcomes (vm_id, known_since) VALUES (?, ?) ON CONFLICT (vm_id) DO NOTHING',
  )
  const all = db.prepare('SELECT vm_id FROM backup_outcomes')
  const remove = db.prepare('DELETE FROM backup_outcomes WHERE vm_id = ?')
  const succeed = db.prepare(
    `UPDATE backup_outcomes SET last_attempt_at = ?, last_success_at = ?, failures = 0,
                                last_point = ?, last_error = '' WHERE vm_id = ?`,
  )
  const fail = db.prepare(
    `UPDATE backup_outcomes SET last_attempt_at = ?, failures = failures + 1, last_error = ? WHERE vm_id = ?`,
  )
  const text = (): string | undefined => (selectSettings.get() as { settings: string } | undefined)?.settings

  return {
    settings: () => {
      const known = text()
      // Fields are only added: what an older agent wrote lacks some.
      return known === undefined ? NO_BACKUPS : { ...NO_BACKUPS, ...(JSON.parse(known) as BackupSettings) }
    },
    putSettings: settings => {
      const next = JSON.stringify(settings)
      if (next === text()) return false
      upsertSettings.run(next)
      return true
    },
    history: vmId => {
      const row = select.get(vmId) as OutcomeRow | undefined
      if (row === undefined) return undefined
      return {
        knownSince: row.known_since,
        lastAttemptAt: row.last_attempt_at,
        lastSuccessAt: row.last_success_at,
        failures: row.failures,
      }
    },
    meet: (vmId, now) => void insert.run(vmId, now),
    forgetOthers: db.transaction((vmIds: readonly string[]) => {
      const here = new Set(vmIds)
      for (const row of all.all() as { vm_id: string }[]) if (!here.has(row.vm_id)) remove.run(row.vm_id)
    }),
    record: db.transaction(({ vmId, endedAt, point, at, error }: BackupOutcome) => {
      insert.run(vmId, endedAt)
      if (point === '') fail.run(endedAt, error, vmId)
      else succeed.run(endedAt, at, point, vmId)
    }),
  }
}
