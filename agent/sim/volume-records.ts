import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import type { StorageKind, VolumeFormat } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** What LVM keeps in its metadata, and the simulation in a sidecar file beside the disks. */
export interface VolumeRecord {
  readonly path: string
  readonly storage: StorageKind
  readonly pool: string
  readonly sizeBytes: number
  readonly format: VolumeFormat
  /** Move it was made for and that has not adopted it yet; empty: it is its VM's. */
  readonly incomingMove: string
  /** Set when it is kept after a move: of which one, what its path was, and its place in the order of keeping. */
  readonly kept?: { readonly moveId: string; readonly originalPath: string; readonly order: number }
}

export interface VolumeRecords {
  get(path: string): VolumeRecord | undefined
  all(): readonly VolumeRecord[]
  /** Durable when it returns. */
  put(record: VolumeRecord): void
  remove(path: string): void
}

function load(file: string): Map<string, VolumeRecord> {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map()
    throw new LifeboatError('unavailable', `cannot read ${file}`, { cause: error })
  }
  const records = JSON.parse(text) as VolumeRecord[]
  return new Map(records.map(record => [record.path, record]))
}

/** Opens the sidecar; a missing file is an empty one. */
export function openVolumeRecords(file: string): VolumeRecords {
  const records = load(file)
  // A torn sidecar would orphan every volume of the blade, so it is replaced whole, never written in place.
  const save = () => {
    const temporary = `${file}.new`
    const fd = openSync(temporary, 'w')
    try {
      writeSync(fd, JSON.stringify([...records.values()], undefined, 1))
      fsyncSync(fd)
    } finally {
      closeSync(fd)
    }
    renameSync(temporary, file)
  }
  return {
    get: path => records.get(path),
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
