import type { Manifest } from './format/manifest.ts'
import type { PointRef } from './format/point.ts'

/** SHA-256 of a chunk's bytes before compression, 64 lower-case hex digits: its name in the store. */
export type ChunkId = string

/** A chunk as it lies in the store: one bare zstd frame. */
export interface Chunk {
  readonly id: ChunkId
  readonly frame: Buffer
}

export interface BeginBackup {
  readonly vm: { readonly id: string; readonly name: string }
  readonly point: string
  /** The writer's clock, epoch ms: a vault whose clock is far off says so. */
  readonly nowAt: number
}

/**
 * One backup coming in. What it names as present, or puts, is safe from collection until it ends. A session that is
 * neither published nor aborted ends with its connection, or when nothing was asked of it for 10 min; nothing of it is
 * ever listed (rule 4).
 */
export interface BackupSession {
  /** Those of `ids` the vault lacks, in their order. Without any it only says that the backup goes on. */
  missing(ids: readonly ChunkId[]): Promise<readonly ChunkId[]>
  /**
   * Idempotent. `bad-input` for what is no frame. A frame that does not hold what its id says is refused the same way, or
   * found by the proof or a check later and then missing; until then it is present for its sender only. The buffers are the
   * caller's again when it resolves.
   */
  put(chunks: readonly Chunk[]): Promise<void>
  /** The index of one disk (.caibx). */
  putIndex(target: string, bytes: Buffer): Promise<void>
  /**
   * Makes chunks and indexes durable, finds every chunk of every index, reads the indexes back, and only then lists the
   * restore point (rule 4). Resolves with the manifest as it lies there. Repeating it for a listed point of the same
   * content is no error: the answer to the first may have been lost. `refused` names what is missing; `bad-input` also when
   * a chunk that was put before turns out not to be its id.
   */
  publish(manifest: Omit<Manifest, 'format' | 'version' | 'blade'>): Promise<Manifest>
  /** Idempotent; chunks it put are collected later. */
  abort(): Promise<void>
}

/** A restore point as a list shows it. */
export interface PointSummary extends PointRef {
  readonly vm: string
  readonly blade: string
  readonly at: number
  /** Undefined when its manifest cannot be read. */
  readonly manifest: Manifest | undefined
  readonly state: 'whole' | 'damaged' | 'unreadable'
  /** Why it is not whole, in one sentence; '' when it is. */
  readonly stateText: string
  /** When all its chunks were last hashed again and found good; 0: not since it was written. */
  readonly checkedAt: number
  readonly boot: BootRecord | undefined
}

/** What the newest boot test of a restore point found. */
export interface BootRecord {
  readonly at: number
  readonly ok: boolean
  /** From the beginning of the restore to the sign of life. */
  readonly recoveryMs: number
  /** '' when ok. */
  readonly error: string
}

export interface CheckReport {
  readonly chunks: number
  /** Chunks that are not there or do not hash to their id. Empty: the point is whole. */
  readonly bad: readonly ChunkId[]
  /** What else is wrong, in words: an index that cannot be read. */
  readonly problems: readonly string[]
}

/** How closely a check looks at chunks. */
export const CHECK_DEPTHS = {
  full: 'each is unpacked and hashed, and a restore point that is whole is noted as hashed',
  quick:
    'a proven frame that bears a checksum is unpacked and believed, any other is hashed, and what is wrong is looked at in full',
} as const
export type CheckDepth = keyof typeof CHECK_DEPTHS

export interface ProgressOptions {
  readonly signal: AbortSignal
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

export interface CheckOptions extends ProgressOptions {
  /**
   * `quick` is for who hashes every byte afterwards, as a restore does: it takes half the time, lets 1 of 2^32 damaged
   * chunks pass, and a whole frame under another's name. A vault that does not know it checks in full. Default `full`.
   */
  readonly depth?: CheckDepth
}

/**
 * Where restore points are kept: a directory on this host, or a vault over the network. Both pass one contract suite
 * (test/contract/vault.ts). Errors: `not-found`, `bad-input`, `refused` (full, too many sessions is `busy`, damaged),
 * `version-mismatch`, `not-allowed` (a point the caller may not see reads as `not-found`), `unavailable`, `timeout`.
 */
export interface Vault {
  /** Refuses (`refused`) when the vault is full, `busy` when as many sessions are open as it takes. */
  begin(request: BeginBackup): Promise<BackupSession>
  /** Those the caller may see, the newest of each VM first. */
  points(vmId?: string): Promise<readonly PointSummary[]>
  manifest(ref: PointRef): Promise<Manifest>
  /** The bytes of `<target>.caibx`, checked against the manifest. */
  index(ref: PointRef, target: string): Promise<Buffer>
  /**
   * Chunks of a point, in the order asked for; unknown to the point or absent: `not-found`. Not hashed: the reader does.
   * As far as there is room the frames lie in `memory`, so that a reader of gigabytes can use the same again.
   */
  chunks(ref: PointRef, ids: readonly ChunkId[], memory?: Buffer): Promise<readonly Chunk[]>
  /** Looks at every chunk of a point again, where they lie. */
  check(ref: PointRef, options: CheckOptions): Promise<CheckReport>
  close(): Promise<void>
}
