import { readFileSync, writeFileSync } from 'node:fs'

/** One snapshot of a simulated blade, as LVM would have it in its tags. */
export interface SimSnapshotRecord {
  readonly path: string
  readonly backupId: string
  readonly vmId: string
  readonly target: string
  /** Restore point it is the base of; '' until published. */
  readonly basePoint: string
}

/** The sidecar of the snapshots: it survives the agent, as LVM's metadata does. */
export interface SimSnapshotRecords {
  all(): readonly SimSnapshotRecord[]
  put(record: SimSnapshotRecord): void
  remove(path: string): void
}

export function openSnapshotRecords(file: string): SimSnapshotRecords {
  const records = new Map(load(file).map(record => [record.path, record]))
  const save = () => writeFileSync(file, JSON.stringify([...records.values()], undefined, 1))
  return {
    all: () => [...records.values()],
    put(record) {
      records.set(record.path, record)
      save()
    },
    remove(path) {
      if (records.delete(path)) save()
    },
  }
}

function load(file: string): SimSnapshotRecord[] {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as SimSnapshotRecord[]
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
