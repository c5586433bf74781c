import type Database from 'better-sqlite3'

/** A source volume kept after its VM moved (rule 3), and until when. */
export interface KeptRow {
  readonly path: string
  readonly moveId: string
  readonly vmName: string
  readonly sizeBytes: number
  readonly expiresAt: number
}

export interface KeptStore {
  put(row: KeptRow): void
  /** Only where no row is: what `put` said of a volume stands. */
  putIfUnknown(row: KeptRow): void
  remove(path: string): void
  list(): readonly KeptRow[]
}

/** Kept volumes in the agent's database; the mark on the volume itself is the truth, this row its expiry. */
export function createKeptStore(db: Database.Database): KeptStore {
  const insert = db.prepare(
    `INSERT INTO kept_volumes (path, move_id, vm_name, size_bytes, expires_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (path) DO UPDATE SET move_id = excluded.move_id, vm_name = excluded.vm_name,
                                      size_bytes = excluded.size_bytes, expires_at = excluded.expires_at`,
  )
  const insertIfUnknown = db.prepare(
    `INSERT INTO kept_volumes (path, move_id, vm_name, size_bytes, expires_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (path) DO NOTHING`,
  )
  const remove = db.prepare('DELETE FROM kept_volumes WHERE path = ?')
  const list = db.prepare(
    `SELECT path, move_id AS moveId, vm_name AS vmName, size_bytes AS sizeBytes, expires_at AS expiresAt
     FROM kept_volumes ORDER BY expires_at, path`,
  )
  return {
    put: row => void insert.run(row.path, row.moveId, row.vmName, row.sizeBytes, row.expiresAt),
    putIfUnknown: row =>
      void insertIfUnknown.run(row.path, row.moveId, row.vmName, row.sizeBytes, row.expiresAt),
    remove: path => void remove.run(path),
    list: () => list.all() as KeptRow[],
  }
}
