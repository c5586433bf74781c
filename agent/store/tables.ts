import { SAGA_TABLES_SQL } from '../../shared/saga/journal.ts'
import type { Migration } from '../../shared/sqlite.ts'

/**
 * All tables of <state>/agent.sqlite. Numbered, only added to: a journal written by a released version must load.
 * Everything here is small; VM bytes and probe readings never come near it.
 */
export const AGENT_MIGRATIONS: readonly Migration[] = [
  { version: 1, name: 'sagas', sql: SAGA_TABLES_SQL },
  {
    version: 2,
    name: 'orders, moves, marks, kept volumes, events',
    sql: `
      CREATE TABLE orders (
        order_id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        vm_id TEXT NOT NULL,
        vm_name TEXT NOT NULL,
        generation INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        deadline_at INTEGER NOT NULL,
        params TEXT NOT NULL,
        state TEXT NOT NULL,
        error_code TEXT NOT NULL DEFAULT '',
        error_message TEXT NOT NULL DEFAULT '',
        accepted_at INTEGER NOT NULL,
        ended_at INTEGER NOT NULL DEFAULT 0,
        acknowledged INTEGER NOT NULL DEFAULT 0
      );
      CREATE INDEX orders_open ON orders (acknowledged, vm_id);
      CREATE TABLE order_commands (
        order_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (order_id, number)
      );
      CREATE TABLE vm_marks (
        vm_id TEXT PRIMARY KEY,
        generation INTEGER NOT NULL DEFAULT 0,
        epoch INTEGER NOT NULL DEFAULT 0
      );
      CREATE TABLE moves (
        move_id TEXT PRIMARY KEY,
        direction TEXT NOT NULL,
        state TEXT NOT NULL,
        vm_id TEXT NOT NULL,
        vm_name TEXT NOT NULL,
        peer_blade TEXT NOT NULL,
        peer_address TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        volumes TEXT NOT NULL,
        note TEXT NOT NULL,
        changed_at INTEGER NOT NULL
      );
      CREATE INDEX moves_of_vm ON moves (vm_id);
      CREATE TABLE kept_volumes (
        path TEXT PRIMARY KEY,
        move_id TEXT NOT NULL,
        vm_name TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
      );
      CREATE TABLE events (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        at INTEGER NOT NULL,
        kind TEXT NOT NULL,
        vm TEXT NOT NULL,
        text TEXT NOT NULL
      );
      CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
    `,
  },
  {
    version: 3,
    name: 'backups: what was set, and how the last ones ended',
    sql: `
      CREATE TABLE backup_settings (id INTEGER PRIMARY KEY CHECK (id = 1), settings TEXT NOT NULL);
      CREATE TABLE backup_outcomes (
        vm_id TEXT PRIMARY KEY,
        known_since INTEGER NOT NULL,
        last_attempt_at INTEGER NOT NULL DEFAULT 0,
        last_success_at INTEGER NOT NULL DEFAULT 0,
        failures INTEGER NOT NULL DEFAULT 0,
        last_point TEXT NOT NULL DEFAULT '',
        last_error TEXT NOT NULL DEFAULT ''
      );
    `,
  },
]
