import type { Identity } from '../../shared/rpc/certificates.ts'
import type { Manifest, ManifestDraft } from '../vault/format/manifest.ts'
import type { PointRef } from '../vault/format/point.ts'
import type { ChangedRanges } from './snapshots.ts'

/** The vault a transfer speaks to. Travels to the worker process as JSON. */
export type VaultAccess =
  | { readonly kind: 'network'; readonly name: string; readonly address: string; readonly identity: Identity }
  | { readonly kind: 'directory'; readonly path: string }

export interface ReadJob {
  readonly target: string
  /** Snapshot device or file nobody writes. */
  readonly path: string
  readonly sizeBytes: number
  readonly chunkBytes: number
  /** Undefined: not known, read all. */
  readonly changed: ChangedRanges | undefined
}

export interface BackupJob {
  readonly kind: 'backup'
  readonly vault: VaultAccess
  readonly draft: ManifestDraft
  readonly reads: readonly ReadJob[]
  /** Of what is read, per second; 0: none. */
  readonly rateLimitBytes: number
}

export interface WriteJob {
  readonly target: string
  /** Volume or file made for this restore. */
  readonly path: string
  /** False: all zeroes must be written, since what is left out would show old bytes of the disk. */
  readonly readsZero: boolean
}

export interface RestoreJob {
  readonly kind: 'restore'
  readonly vault: VaultAccess
  readonly ref: PointRef
  readonly writes: readonly WriteJob[]
  /** The caller has had the point checked already, before it made what is written to. */
  readonly checked: boolean
}

export interface TransferOptions {
  readonly signal: AbortSignal
  /** Bytes of the disks, not of the wire. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void
}

export interface RestoreFigures {
  readonly writtenBytes: number
  readonly receivedBytes: number
  readonly durationMs: number
}

/**
 * Moves the bytes of backups, off the agent's main thread: a process of its own, with low priority.
 * Errors: those of Vault, and `unavailable` when a disk cannot be read or written.
 */
export interface Transfer {
  /** Resolves with the manifest when the restore point is listed. */
  backup(job: BackupJob, options: TransferOptions): Promise<Manifest>
  /**
   * Refuses (`refused`) damaged data before the first byte is written, unless that was `checked`. Resolves when all is durable and was read back
   * and hashed.
   */
  restore(job: RestoreJob, options: TransferOptions): Promise<RestoreFigures>
  /** What is remembered of the disks of other VMs than these goes. */
  forgetOthers(vmIds: readonly string[]): void
}
