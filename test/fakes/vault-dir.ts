import { hash, randomUUID } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync } from 'node:zlib'
import { chunkPath } from '../../agent/vault/format/chunk.ts'
import { createIndexBuilder } from '../../agent/vault/format/index.ts'
import type { Manifest } from '../../agent/vault/format/manifest.ts'
import { formatPoint } from '../../agent/vault/format/point.ts'
import {
  openVaultStore,
  type VaultStore,
  type VaultStoreOptions,
} from '../../agent/vault/store/vault-store.ts'
import type { BackupSession, Chunk, Vault } from '../../agent/vault/vault.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { silentLogger } from '../../shared/log.ts'
import { createManualClock, type ManualClock } from './manual-clock.ts'

/** When the first backup of a test is made, unless it says otherwise; the others are nights, counted from it. */
export const FIRST_NIGHT = Date.UTC(2026, 10, 28, 2, 5, 12)
/** The clock of the vault: a week of nights lies behind it, for a vault takes no restore point of the future. */
export const VAULT_NOW = FIRST_NIGHT + 7 * 86_400_000
export const CHUNK_BYTES = 4096

/** Says of everything that it is done; a vault runs `sync` only. */
export const idleRunner: CommandRunner = {
  run: async () => ({ stdout: '', stderr: '', exitCode: 0, durationMs: 0 }),
  follow: () => {
    throw new Error('a vault follows no program')
  },
  observed: () => idleRunner,
  note: () => {},
}

export interface VaultDir {
  readonly dir: string
  readonly clock: ManualClock
  open(options?: Partial<VaultStoreOptions>): VaultStore
  remove(): void
}

/** A directory for a vault, with a clock that stands still and a disk with room. */
export function makeVaultDir(): VaultDir {
  const parent = mkdtempSync(join(tmpdir(), 'lifeboat-vault-'))
  const dir = join(parent, 'vault')
  const clock = createManualClock(VAULT_NOW)
  return {
    dir,
    clock,
    open: options =>
      openVaultStore({
        dir,
        clock,
        ids: { next: () => randomUUID() },
        log: silentLogger,
        run: idleRunner,
        access: 'create',
        space: async () => ({ sizeBytes: 2 ** 40, freeBytes: 2 ** 39 }),
        ...options,
      }),
    remove: () => rmSync(parent, { recursive: true, force: true }),
  }
}

/** Other bytes under the name of a chunk, as a dying disk leaves them. */
export function spoilChunk(dir: string, id: string): void {
  const path = join(dir, 'store', chunkPath(id))
  chmodSync(path, 0o644)
  writeFileSync(path, makeChunk(666).frame)
}

/** A chunk of `CHUNK_BYTES` bytes, told apart by its seed. */
export function makeChunk(seed: number, lengthBytes = CHUNK_BYTES): Chunk {
  const bytes = Buffer.alloc(lengthBytes, `chunk ${seed} `)
  return { id: hash('sha256', bytes, 'hex'), frame: zstdCompressSync(bytes) }
}

/** `5d1f3a60-…-000000000007` */
export function vmId(number: number): string {
  return `5d1f3a60-1111-4a4a-8a8a-${String(number).padStart(12, '0')}`
}

export interface BackupOfSeeds {
  readonly vm?: number
  readonly at?: number
  /** The clock of the writer, when that of the vault is not the one of `makeVaultDir`. */
  readonly nowAt?: number
  /** Chunk by chunk. */
  readonly seeds: readonly number[]
}

/** The index of one disk made of those chunks. */
export function indexOf(seeds: readonly number[]): Buffer {
  const builder = createIndexBuilder(CHUNK_BYTES, CHUNK_BYTES * seeds.length)
  for (const [position, seed] of seeds.entries()) builder.set(position, makeChunk(seed).id)
  return builder.finish()
}

/** What a blade says of a backup of one disk. */
export function draftOf(backup: BackupOfSeeds): Omit<Manifest, 'format' | 'version' | 'blade'> {
  const at = backup.at ?? FIRST_NIGHT
  const vm = backup.vm ?? 1
  return {
    vm: { id: vmId(vm), name: `vm${vm}` },
    point: formatPoint(at),
    at,
    consistency: 'paused',
    pauseMs: 12,
    definition: `<domain type='kvm'><name>vm${vm}</name></domain>`,
    memoryBytes: 2 ** 30,
    vcpus: 2,
    disks: [
      {
        target: 'vda',
        sizeBytes: CHUNK_BYTES * backup.seeds.length,
        format: 'raw',
        storage: 'thick',
        pool: 'vg0',
        path: `/dev/vg0/vm${vm}`,
        chunkBytes: CHUNK_BYTES,
        indexSha256: hash('sha256', indexOf(backup.seeds), 'hex'),
      },
    ],
    figures: { readBytes: 0, sentBytes: 0, storedBytes: 0, durationMs: 1 },
    writer: 'test',
  }
}

export async function beginBackup(vault: Vault, backup: BackupOfSeeds): Promise<BackupSession> {
  const { vm, point } = draftOf(backup)
  return await vault.begin({ vm, point, nowAt: backup.nowAt ?? VAULT_NOW })
}

/** All a backup sends before it publishes. */
export async function sendChunks(session: BackupSession, seeds: readonly number[]): Promise<void> {
  const chunks = new Map(seeds.map(seed => [makeChunk(seed).id, makeChunk(seed)]))
  const missing = await session.missing([...chunks.keys()])
  await session.put(missing.flatMap(id => chunks.get(id) ?? []))
  await session.putIndex('vda', indexOf(seeds))
}

/** A whole backup, from begin to publish. */
export async function backUp(vault: Vault, backup: BackupOfSeeds): Promise<Manifest> {
  const session = await beginBackup(vault, backup)
  await sendChunks(session, backup.seeds)
  return await session.publish(draftOf(backup))
}
