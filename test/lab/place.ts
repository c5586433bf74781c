import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { LabError } from './errors.ts'

/** Root of everything the lab keeps, outside the tree: `$LIFEBOAT_LAB` or ~/.cache/lifeboat-lab. */
export const LAB_DIR = process.env.LIFEBOAT_LAB || join(homedir(), '.cache', 'lifeboat-lab')

/** Finished images, one folder per key of the build inputs. */
export const IMAGES_DIR = join(LAB_DIR, 'images')
/** One folder per host: its copy-on-write root, its disks, its console log. Lost with `down --all`. */
export const HOSTS_DIR = join(LAB_DIR, 'hosts')
/** What the running lab's processes work with; goes with them. */
export const RUN_DIR = join(LAB_DIR, 'run')
/** The first failures of the last run of the stories. */
export const FAILURES_FILE = join(RUN_DIR, 'failures.txt')
/** One file per process the lab has started, to know it again. */
export const PROCESSES_DIR = join(LAB_DIR, 'processes')
/** Handed into every host by hostfs: files for the hosts to read. */
export const SHARE_DIR = join(LAB_DIR, 'share')
/** ssh control sockets; short, because a socket path ends at 108 bytes. */
export const SOCKET_DIR = '/run/lifeboat-lab'

/** What this lab was made as; written by `up`, gone with `down --all`. */
export interface LabRecord {
  imageKey: string
  blades: number
  /** False when it was brought up with --no-product. */
  product: boolean
}

const RECORD = join(LAB_DIR, 'lab.json')

/** The record of the lab whose disks are kept, or undefined when there is none. */
export function readLabRecord(): LabRecord | undefined {
  if (!existsSync(RECORD)) return undefined
  return JSON.parse(readFileSync(RECORD, 'utf8')) as LabRecord
}

/** The record, or an error that says how to get a lab. */
export function requireLabRecord(): LabRecord {
  const record = readLabRecord()
  if (record === undefined) throw new LabError('there is no lab', { next: 'npm run lab -- up' })
  return record
}

/** Stores the record; a crash in between leaves the old one. */
export function writeLabRecord(record: LabRecord): void {
  mkdirSync(LAB_DIR, { recursive: true })
  writeFileSync(`${RECORD}.new`, `${JSON.stringify(record, null, 2)}\n`)
  renameSync(`${RECORD}.new`, RECORD)
}

/** Forgets the lab together with the disks of its hosts. */
export function eraseDisks(): void {
  rmSync(RECORD, { force: true })
  rmSync(HOSTS_DIR, { recursive: true, force: true })
}

/** Forgets the disks of one host; it must not run. */
export function eraseHost(name: string): void {
  rmSync(join(HOSTS_DIR, name), { recursive: true, force: true })
}
