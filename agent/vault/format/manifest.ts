import * as z from 'zod'
import { isVmName } from '../../../shared/domain/ids.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { POINT, VM_ID } from './point.ts'

/** What a backup really got, which may be less than what was asked for. */
export const CONSISTENCIES = {
  application: 'the guest agent froze the file systems of the guest',
  paused: 'the VM was paused: all disks at one moment, as after a power cut',
  crash: 'each disk at its own moment, as after a power cut',
  stopped: 'the VM was off',
} as const
export type Consistency = keyof typeof CONSISTENCIES

const FORMAT = 'lifeboat-restore-point'
/** Raised only when an old reader would misunderstand a new manifest; fields are only added. */
const VERSION = 1

const HASH = /^[0-9a-f]{64}$/
/** Names of disks are names of files in the vault: vda.caibx. */
export const TARGET = /^[a-z]{2,8}[0-9]{0,3}$/

const DISK = z.object({
  /** Name inside the VM. */
  target: z.string().regex(TARGET),
  /** Bytes backed up: of the LV, or of the image file as it is. */
  sizeBytes: z.int().min(0),
  /** Of the disk in a qcow2 image, as the guest sees it. Not there: the same, or by a version that did not note it. */
  virtualBytes: z.int().min(0).optional(),
  format: z.enum(['raw', 'qcow2']),
  storage: z.enum(['thick', 'thin', 'file']),
  pool: z.string(),
  path: z.string(),
  /** Fixed size of its chunks; a VM's disk keeps it, so that nights can be compared. */
  chunkBytes: z.int().min(4096),
  /** SHA-256 of its index file `<target>.caibx`, which names every chunk by SHA-256. */
  indexSha256: z.string().regex(HASH),
})

const SCHEMA = z.object({
  format: z.literal(FORMAT),
  version: z.int(),
  // It becomes the name of a file, and is printed.
  vm: z.object({ id: z.string().regex(VM_ID), name: z.string().refine(isVmName, 'not a VM name') }),
  point: z.string().regex(POINT),
  /** Whose certificate wrote it; '' by `lifeboat-vault add`. */
  blade: z.string(),
  /** The moment of the snapshot. Epoch ms, by the clock of the blade. */
  at: z.number(),
  consistency: z.enum(Object.keys(CONSISTENCIES) as [Consistency, ...Consistency[]]),
  pauseMs: z.number(),
  /** The definition as the hypervisor has it; '' by `lifeboat-vault add`. */
  definition: z.string(),
  memoryBytes: z.number(),
  vcpus: z.number(),
  disks: z.array(DISK).min(1),
  figures: z.object({
    readBytes: z.number(),
    sentBytes: z.number(),
    /** What it added to the vault. */
    storedBytes: z.number(),
    durationMs: z.number(),
  }),
  writer: z.string(),
})

export type Manifest = z.output<typeof SCHEMA>
export type ManifestDisk = Manifest['disks'][number]

/** Room a disk may come to take where it is restored: an image file grows until the disk in it is full. */
export function roomBytes({
  sizeBytes,
  virtualBytes,
}: Pick<ManifestDisk, 'sizeBytes' | 'virtualBytes'>): number {
  return Math.max(sizeBytes, virtualBytes ?? 0)
}

/** A manifest less what the vault fills in. */
export type ManifestDraft = Omit<Manifest, 'format' | 'version' | 'blade' | 'disks' | 'figures'> & {
  readonly disks: readonly Omit<ManifestDisk, 'indexSha256'>[]
}

/** As it lies in the vault: `manifest.json`, for people too. */
export function formatManifest(manifest: Omit<Manifest, 'format' | 'version'>): string {
  return `${JSON.stringify({ format: FORMAT, version: VERSION, ...manifest }, undefined, 2)}\n`
}

/**
 * Reads a manifest.json. Throws `version-mismatch` for one of a newer Lifeboat, with what to do, and `bad-input`
 * naming every bad field.
 */
export function parseManifest(text: string): Manifest {
  const json = parseJson(text)
  const version = isRecord(json) && json.format === FORMAT ? json.version : undefined
  if (typeof version === 'number' && version > VERSION) {
    throw new LifeboatError(
      'version-mismatch',
      `the manifest has version ${version}, this Lifeboat reads up to ${VERSION}: upgrade it`,
    )
  }
  const result = SCHEMA.safeParse(json)
  if (result.success) return result.data
  const details = result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
  throw new LifeboatError('bad-input', 'not a manifest of a restore point', { details })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new LifeboatError('bad-input', 'the manifest is no JSON', { cause: error })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
