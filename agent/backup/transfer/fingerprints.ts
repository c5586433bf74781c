import { createCipheriv, createHash, hash, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import type { ChunkId } from '../../vault/vault.ts'

// A disk that is read whole each night is the same as last night in nearly all its chunks, and SHA-256 of them is the
// most expensive thing that is left to do. So beside the id of each chunk a fingerprint is remembered that costs a seventh:
// GMAC (NIST SP 800-38D), with a key and nonce that are this disk's own. For bytes that do not know the key it is a
// universal hash: two different chunks of n blocks have the same one with a probability of (n + 1) / 2^128, less than 1 in
// 10^33 for half a megabyte. A checksum without a key, or of 64 bits, would not do: what is taken for unchanged is not
// backed up. Whoever could read the key could hide changes of his own disk from his own backups, and nothing else.

const ALGORITHM = 'aes-128-gcm'
const MAGIC = Buffer.from('lifeboat-fingerprints-1\n')
const KEY_BYTES = 16
const TAG_BYTES = 16
const ID_BYTES = 32
const ENTRY_BYTES = TAG_BYTES + ID_BYTES
const NOTHING = Buffer.alloc(ENTRY_BYTES)
const HEAD_BYTES = MAGIC.length + KEY_BYTES + 4
const SUM_BYTES = 32
/** One key makes all tags of a disk, and they are compared with each other only: the same nonce for all is the point. */
const NONCE = Buffer.alloc(12)

/** What the chunks of one disk were when they were last read. */
export interface Fingerprints {
  /** The SHA-256 of a chunk: remembered when the chunk at that position is the one of last time. */
  idOf(position: number, bytes: Buffer): ChunkId
  /** What is remembered of the chunks from, to (not with), each id once: they will most likely come again. */
  likely(from: number, to: number): readonly ChunkId[]
  /** For the next night. Throws what the file system throws. */
  save(): void
}

/** Where fingerprints of the disks of this host's VMs are kept: one file a disk, below a folder of its VM. */
export interface FingerprintFolder {
  open(
    vmId: string,
    target: string,
    grid: { readonly count: number; readonly chunkBytes: number },
  ): Fingerprints
  /** All of a VM: after a refusal the reason of which may be in what is remembered. */
  forget(vmId: string): void
}

export function openFingerprintFolder(path: string): FingerprintFolder {
  return {
    open: (vmId, target, grid) => openFingerprints(join(path, vmId, target), grid),
    forget: vmId => rmSync(join(path, vmId), { recursive: true, force: true }),
  }
}

/** Forgets all VMs but these. */
export function dropFingerprintsOfOthers(path: string, vmIds: readonly string[]): void {
  if (!existsSync(path)) return
  for (const name of readdirSync(path)) {
    if (!vmIds.includes(name)) rmSync(join(path, name), { recursive: true, force: true })
  }
}

/** A file that is missing, torn, or of another chunk size is begun anew: then all is hashed. */
function openFingerprints(
  path: string,
  { count, chunkBytes }: { readonly count: number; readonly chunkBytes: number },
): Fingerprints {
  const known = readKnown(path, chunkBytes)
  const key = known?.key ?? randomBytes(KEY_BYTES)
  // A position nothing is known of has a fingerprint of zeroes, which no chunk has: see the probability above.
  const entries = resized(known?.entries, count * ENTRY_BYTES)
  const entryAt = (position: number) => entries.subarray(position * ENTRY_BYTES, (position + 1) * ENTRY_BYTES)
  return {
    idOf: (position, bytes) => {
      const entry = entryAt(position)
      const tag = fingerprint(key, bytes)
      if (tag.equals(entry.subarray(0, TAG_BYTES))) return entry.toString('hex', TAG_BYTES)
      const id = hash('sha256', bytes, 'hex')
      tag.copy(entry)
      entry.write(id, TAG_BYTES, 'hex')
      return id
    },
    likely: (from, to) => {
      const ids = new Set<ChunkId>()
      for (let position = from; position < Math.min(to, count); position++) {
        const entry = entryAt(position)
        if (!entry.equals(NOTHING)) ids.add(entry.toString('hex', TAG_BYTES))
      }
      return [...ids]
    },
    save: () => {
      const size = Buffer.alloc(4)
      size.writeUInt32BE(chunkBytes)
      write(path, [MAGIC, key, size, entries])
    },
  }
}

/** The same memory where it fits: of a disk of 1 TiB these are 96 MiB. */
function resized(entries: Buffer | undefined, bytes: number): Buffer {
  if (entries?.length === bytes) return entries
  const all = Buffer.alloc(bytes)
  entries?.copy(all)
  return all
}

function fingerprint(key: Buffer, bytes: Buffer): Buffer {
  const mac = createCipheriv(ALGORITHM, key, NONCE)
  mac.setAAD(bytes)
  mac.final()
  return mac.getAuthTag()
}

function readKnown(path: string, chunkBytes: number): { key: Buffer; entries: Buffer } | undefined {
  let file: Buffer
  try {
    file = readFileSync(path)
  } catch {
    return undefined
  }
  const content = file.subarray(0, -SUM_BYTES)
  const isWhole =
    content.length >= HEAD_BYTES &&
    content.subarray(0, MAGIC.length).equals(MAGIC) &&
    hash('sha256', content, 'buffer').equals(file.subarray(-SUM_BYTES))
  if (!isWhole || content.readUInt32BE(HEAD_BYTES - 4) !== chunkBytes) return undefined
  return {
    key: content.subarray(MAGIC.length, MAGIC.length + KEY_BYTES),
    entries: content.subarray(HEAD_BYTES),
  }
}

/** Whole or not at all; a power cut may leave it torn, which its checksum tells, so nothing waits for the disk. */
function write(path: string, parts: readonly Buffer[]): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const temporary = `${path}.new`
  rmSync(temporary, { force: true })
  const sum = createHash('sha256')
  const file = openSync(temporary, 'wx', 0o600)
  try {
    for (const part of parts) {
      sum.update(part)
      writeFileSync(file, part)
    }
    writeFileSync(file, sum.digest())
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
}
