import { SAGA_TABLES_SQL } from '../../shared/saga/journal.ts'
import type { Migration } from '../../shared/sqlite.ts'

/** All tables. Numbered, append only: a released migration is never edited. */
export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    name: 'the first fleet',
    sql: `
CREATE TABLE blades (
  name TEXT PRIMARY KEY, chassis TEXT NOT NULL, slot INTEGER NOT NULL, feeds TEXT NOT NULL, switches TEXT NOT NULL,
  max_vms INTEGER NOT NULL, admin TEXT NOT NULL, admin_reason TEXT NOT NULL, added_at INTEGER NOT NULL,
  joined_at INTEGER NOT NULL, peer_address TEXT NOT NULL, agent_version TEXT NOT NULL, refusal TEXT NOT NULL,
  baseline TEXT NOT NULL, report TEXT NOT NULL, report_at INTEGER NOT NULL
) STRICT;
CREATE TABLE blade_certificates (
  fingerprint TEXT PRIMARY KEY, blade TEXT NOT NULL REFERENCES blades(name) ON DELETE CASCADE,
  not_after INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
  secret_hash TEXT PRIMARY KEY, blade TEXT NOT NULL, created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL
) STRICT;
CREATE TABLE vms (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, epoch INTEGER NOT NULL, generation INTEGER NOT NULL,
  placed_on TEXT NOT NULL, placed_at INTEGER NOT NULL, placed_vm TEXT NOT NULL
) STRICT;
CREATE TABLE cases (
  id TEXT PRIMARY KEY, key TEXT NOT NULL, json TEXT NOT NULL, opened_at INTEGER NOT NULL, closed_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX cases_one_open_per_key ON cases(key) WHERE closed_at = 0;
CREATE TABLE alerts (
  id TEXT PRIMARY KEY, case_key TEXT NOT NULL, code TEXT NOT NULL, severity TEXT NOT NULL, blade TEXT NOT NULL,
  subject TEXT NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, next_command TEXT NOT NULL, blades TEXT NOT NULL,
  raised_at INTEGER NOT NULL, cleared_at INTEGER NOT NULL, acknowledged_by TEXT NOT NULL,
  acknowledged_at INTEGER NOT NULL, acknowledged_note TEXT NOT NULL, delivered_at INTEGER NOT NULL,
  revision INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX alerts_one_open_per_case ON alerts(case_key) WHERE cleared_at = 0;
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, dedupe_key TEXT NOT NULL UNIQUE, notifier TEXT NOT NULL, alert TEXT NOT NULL,
  payload TEXT NOT NULL, attempts INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL, delivered_at INTEGER NOT NULL,
  last_error TEXT NOT NULL
) STRICT;
CREATE INDEX outbox_waiting ON outbox(seq) WHERE delivered_at = 0;
CREATE TABLE plans (
  id TEXT PRIMARY KEY, blade TEXT NOT NULL, created_at INTEGER NOT NULL, json TEXT NOT NULL
) STRICT;
CREATE TABLE evacuations (
  operation TEXT PRIMARY KEY, plan TEXT NOT NULL, blade TEXT NOT NULL, cause TEXT NOT NULL, case_key TEXT NOT NULL,
  case_id TEXT NOT NULL, state TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX evacuations_one_active_per_blade ON evacuations(blade) WHERE ended_at = 0;
CREATE TABLE evacuation_moves (
  evacuation TEXT NOT NULL REFERENCES evacuations(operation) ON DELETE CASCADE, seq INTEGER NOT NULL,
  plan TEXT NOT NULL, vm_id TEXT NOT NULL, vm TEXT NOT NULL, source TEXT NOT NULL, target TEXT NOT NULL,
  method TEXT NOT NULL, memory_bytes INTEGER NOT NULL, volume_bytes INTEGER NOT NULL, state TEXT NOT NULL,
  operation TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (evacuation, seq)
) STRICT;
CREATE TABLE operations (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, state TEXT NOT NULL, vm_id TEXT NOT NULL, vm TEXT NOT NULL,
  source TEXT NOT NULL, target TEXT NOT NULL, method TEXT NOT NULL, plan TEXT NOT NULL, parent TEXT NOT NULL,
  cause TEXT NOT NULL, requested_by TEXT NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
  deadline_at INTEGER NOT NULL, steps TEXT NOT NULL, downtime_ms INTEGER NOT NULL, handover_ms INTEGER NOT NULL,
  done_bytes INTEGER NOT NULL, total_bytes INTEGER NOT NULL, error TEXT NOT NULL, outcome TEXT NOT NULL,
  next_command TEXT NOT NULL, reservation TEXT NOT NULL, settled_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX operations_one_active_per_vm ON operations(vm_id) WHERE ended_at = 0 AND vm_id <> '';
CREATE INDEX operations_parent ON operations(parent) WHERE parent <> '';
CREATE TABLE orders (
  id TEXT PRIMARY KEY, operation TEXT NOT NULL, blade TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL,
  agent_steps TEXT NOT NULL, commands TEXT NOT NULL, ended_at INTEGER NOT NULL
) STRICT;
CREATE INDEX orders_operation ON orders(operation);
CREATE TABLE settings (name TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
CREATE TABLE stories (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL, at INTEGER NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE INDEX stories_subject ON stories(kind, subject, seq);
CREATE TABLE events (
  id TEXT PRIMARY KEY, blade TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, vm TEXT NOT NULL,
  text TEXT NOT NULL
) STRICT;
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
${SAGA_TABLES_SQL}
`,
  },
  {
    version: 2,
    name: 'backups',
    sql: `
ALTER TABLE operations ADD COLUMN point TEXT NOT NULL DEFAULT '';
ALTER TABLE operations ADD COLUMN pause_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE operations ADD COLUMN recovery_ms INTEGER NOT NULL DEFAULT 0;
DROP INDEX operations_one_active_per_vm;
CREATE UNIQUE INDEX operations_one_active_per_vm ON operations(vm_id)
  WHERE ended_at = 0 AND vm_id <> '' AND kind NOT IN ('backup', 'boot-test');
CREATE UNIQUE INDEX operations_one_reading_per_vm ON operations(vm_id, kind)
  WHERE ended_at = 0 AND vm_id <> '' AND kind IN ('backup', 'boot-test');
ALTER TABLE vms ADD COLUMN first_seen_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN role TEXT NOT NULL DEFAULT 'blade';
CREATE TABLE vaults (
  name TEXT PRIMARY KEY, address TEXT NOT NULL, added_at INTEGER NOT NULL, joined_at INTEGER NOT NULL,
  version TEXT NOT NULL, status TEXT NOT NULL, seen_at INTEGER NOT NULL, clock_offset_ms INTEGER NOT NULL,
  error TEXT NOT NULL, failing_since INTEGER NOT NULL
) STRICT;
CREATE TABLE vault_certificates (
  fingerprint TEXT PRIMARY KEY, vault TEXT NOT NULL REFERENCES vaults(name) ON DELETE CASCADE,
  not_after INTEGER NOT NULL
) STRICT;
CREATE TABLE points (
  vault TEXT NOT NULL REFERENCES vaults(name) ON DELETE CASCADE, vm_id TEXT NOT NULL, point TEXT NOT NULL,
  vm TEXT NOT NULL, at INTEGER NOT NULL, json TEXT NOT NULL, PRIMARY KEY (vault, vm_id, point)
) STRICT;
CREATE TABLE vm_tags (
  vm_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (vm_id, name)
) STRICT;
CREATE TABLE backup_outcomes (
  vm_id TEXT NOT NULL, at INTEGER NOT NULL, ok INTEGER NOT NULL, blade TEXT NOT NULL, source TEXT NOT NULL,
  text TEXT NOT NULL, PRIMARY KEY (vm_id, at, source)
) STRICT;
CREATE TABLE boot_tests (
  operation TEXT PRIMARY KEY, vault TEXT NOT NULL, vm_id TEXT NOT NULL, vm TEXT NOT NULL, point TEXT NOT NULL,
  at INTEGER NOT NULL, ok INTEGER NOT NULL, recovery_ms INTEGER NOT NULL, error TEXT NOT NULL,
  told_at INTEGER NOT NULL
) STRICT;
CREATE INDEX boot_tests_vm ON boot_tests(vm_id, at);
`,
  },
  {
    version: 3,
    name: 'where a VM was seen',
    sql: `
CREATE TABLE vm_blades (
  vm_id TEXT NOT NULL, blade TEXT NOT NULL, first_seen_at INTEGER NOT NULL, PRIMARY KEY (vm_id, blade)
) STRICT;
INSERT OR IGNORE INTO vm_blades SELECT id, placed_on, placed_at FROM vms WHERE placed_on <> '';
INSERT OR IGNORE INTO vm_blades
  SELECT vm_id, source, started_at FROM operations WHERE kind = 'move' AND vm_id <> '' AND source <> '';
INSERT OR IGNORE INTO vm_blades
  SELECT json_extract(vm.value, '$.id'), blades.name, blades.report_at
  FROM blades, json_each(CASE blades.report WHEN '' THEN '{}' ELSE blades.report END, '$.vms') AS vm;
`,
  },
  {
    version: 4,
    name: 'moves that wait for others',
    sql: `
ALTER TABLE evacuation_moves ADD COLUMN role TEXT NOT NULL DEFAULT 'leaves';
ALTER TABLE evacuation_moves ADD COLUMN needs TEXT NOT NULL DEFAULT '[]';
`,
  },
  {
    version: 5,
    name: 'the newest of a kind, for measured rates',
    sql: 'CREATE INDEX operations_kind ON operations(kind, ended_at);',
  },
]
