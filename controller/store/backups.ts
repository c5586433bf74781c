import { createRowMap } from './row-map.ts'
import type { Sql } from './sql.ts'
import type { BackupOutcomeTable, BootTestTable } from './tables.ts'

/** How one try to back up a VM ended. */
export interface BackupOutcome {
  readonly vmId: string
  readonly at: number
  readonly ok: boolean
  readonly blade: string
  /** `o17`, or `schedule` when the agent began it by itself. */
  readonly source: string
  /** Why it failed; empty when it did not. */
  readonly text: string
}

/** What one boot test found. */
export interface BootTest {
  readonly operation: string
  readonly vault: string
  readonly vmId: string
  readonly vm: string
  readonly point: string
  readonly at: number
  readonly ok: boolean
  /** From the beginning of the restore to the sign of life. */
  readonly recoveryMs: number
  readonly error: string
  /** When the vault was told; 0: not yet, it may have been away. */
  readonly toldAt: number
}

export interface BackupStore {
  /** Idempotent: agents tell an event until they hear that it arrived. */
  addOutcome(outcome: BackupOutcome): void
  /** The newest of each VM first. */
  outcomes(): readonly BackupOutcome[]
  /** Also idempotent, by its operation. */
  addBootTest(test: BootTest): void
  /** The newest first. */
  bootTests(): readonly BootTest[]
  bootTestTold(operation: string, at: number): void
  /** Returns how many rows went. The newest boot test of a VM stays: it is its recovery time. */
  prune(before: number): number
}

const OUTCOMES = createRowMap<Omit<BackupOutcome, 'ok'> & { ok: number }, BackupOutcomeTable>(
  { vmId: 'vm_id', at: 'at', ok: 'ok', blade: 'blade', source: 'source', text: 'text' },
  [],
)
const TESTS = createRowMap<Omit<BootTest, 'ok'> & { ok: number }, BootTestTable>(
  {
    operation: 'operation',
    vault: 'vault',
    vmId: 'vm_id',
    vm: 'vm',
    point: 'point',
    at: 'at',
    ok: 'ok',
    recoveryMs: 'recovery_ms',
    error: 'error',
    toldAt: 'told_at',
  },
  [],
)

/** Over the tables `backup_outcomes` and `boot_tests`. Looked at each second, changed a few times a night. */
export function createBackupStore(sql: Sql): BackupStore {
  let outcomes: readonly BackupOutcome[] | undefined
  let tests: readonly BootTest[] | undefined
  const bootTests = () => {
    tests ??= sql
      .all(sql.build.selectFrom('boot_tests').selectAll().orderBy('at', 'desc'))
      .map(TESTS.fromRow)
      .map(each => ({ ...each, ok: each.ok === 1 }))
    return tests
  }
  return {
    addOutcome: outcome => {
      outcomes = undefined
      const row = OUTCOMES.toRow({ ...outcome, ok: Number(outcome.ok) }) as BackupOutcomeTable
      sql.run(
        sql.build
          .insertInto('backup_outcomes')
          .values(row)
          .onConflict(conflict => conflict.doNothing()),
      )
    },
    outcomes: () => {
      outcomes ??= sql
        .all(sql.build.selectFrom('backup_outcomes').selectAll().orderBy('vm_id').orderBy('at', 'desc'))
        .map(OUTCOMES.fromRow)
        .map(each => ({ ...each, ok: each.ok === 1 }))
      return outcomes
    },
    addBootTest: test => {
      tests = undefined
      const row = TESTS.toRow({ ...test, ok: Number(test.ok) }) as BootTestTable
      sql.run(
        sql.build
          .insertInto('boot_tests')
          .values(row)
          .onConflict(conflict => conflict.doNothing()),
      )
    },
    bootTests,
    bootTestTold: (operation, at) => {
      tests = undefined
      sql.run(sql.build.updateTable('boot_tests').set({ told_at: at }).where('operation', '=', operation))
    },
    prune: before => {
      const seen = new Set<string>()
      const old = bootTests().filter(test => {
        const isNewest = !seen.has(test.vmId)
        seen.add(test.vmId)
        return !isNewest && test.at < before
      })
      for (const { operation } of old) {
        sql.run(sql.build.deleteFrom('boot_tests').where('operation', '=', operation))
      }
      outcomes = undefined
      tests = undefined
      return old.length + sql.run(sql.build.deleteFrom('backup_outcomes').where('at', '<', before))
    },
  }
}
