import { createHash } from 'node:crypto'
import type { RestoreJob, Transfer } from '../../agent/backup/transfer.ts'
import type { Vaults } from '../../agent/backup/vaults.ts'
import type { Manifest } from '../../agent/vault/format/manifest.ts'
import type { BackupSession, Vault } from '../../agent/vault/vault.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** A vault without chunks: each restore point is the text of its disks. */
export interface MemoryVault {
  readonly points: Map<string, { readonly manifest: Manifest; readonly disks: ReadonlyMap<string, string> }>
  readonly vaults: Vaults
  /** Reads and writes by the two functions, and lists what it read in the vault. */
  transfer(disks: { read(path: string): string; write(path: string, text: string): void }): Transfer
  /** 'up', or what each call of it throws. */
  state: 'up' | 'unavailable' | 'busy' | 'refused'
  /** Chunks that `check` finds damaged. */
  damaged: readonly string[]
  /** Connections that were opened and not closed: must be 0 when nothing is under way. */
  open: number
  /** Called before a backup is listed, and before a restore writes: the place to hold one up or to break it. */
  onTransfer: (signal: AbortSignal) => Promise<void>
}

export function createMemoryVault(): MemoryVault {
  const pointOf = (vmId: string, point: string) => {
    const found = world.points.get(`${vmId}/${point}`)
    if (found === undefined) throw new LifeboatError('not-found', `no restore point ${point} of ${vmId}`)
    return found
  }
  const knock = (): void => {
    if (world.state !== 'up') throw new LifeboatError(world.state, `the vault is ${world.state}`)
  }
  const vault: Vault = {
    begin: async () => {
      knock()
      return { abort: async () => {} } as BackupSession
    },
    points: async () => [],
    manifest: async ref => {
      knock()
      return pointOf(ref.vmId, ref.point).manifest
    },
    index: async () => Buffer.alloc(0),
    chunks: async () => [],
    check: async ref => {
      knock()
      pointOf(ref.vmId, ref.point)
      return { chunks: 10, bad: world.damaged, problems: [] }
    },
    close: async () => {
      world.open -= 1
    },
  }
  const world: MemoryVault = {
    points: new Map(),
    state: 'up',
    damaged: [],
    open: 0,
    onTransfer: async () => {},
    vaults: {
      open: async () => {
        if (world.state === 'unavailable') knock()
        world.open += 1
        return vault
      },
    },
    transfer: disks => ({
      backup: async ({ draft, reads }, { signal, onProgress }) => {
        await world.onTransfer(signal)
        if (signal.aborted) throw new LifeboatError('aborted', 'stopped on request')
        knock()
        const texts = new Map(reads.map(({ target, path }) => [target, disks.read(path)]))
        const sizeBytes = draft.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0)
        onProgress?.(sizeBytes, sizeBytes)
        const manifest: Manifest = {
          ...draft,
          format: 'lifeboat-restore-point',
          version: 1,
          blade: 'blade01',
          disks: draft.disks.map(disk => ({ ...disk, indexSha256: hashOf(texts.get(disk.target) ?? '') })),
          figures: { readBytes: sizeBytes, sentBytes: 10, storedBytes: 5, durationMs: 7 },
        }
        world.points.set(`${draft.vm.id}/${draft.point}`, { manifest, disks: texts })
        return manifest
      },
      restore: async (job: RestoreJob, { signal }) => {
        await world.onTransfer(signal)
        if (signal.aborted) throw new LifeboatError('aborted', 'stopped on request')
        knock()
        const { disks: texts } = pointOf(job.ref.vmId, job.ref.point)
        for (const { target, path } of job.writes) disks.write(path, texts.get(target) ?? '')
        return { writtenBytes: 8, receivedBytes: 4, durationMs: 3 }
      },
      forgetOthers: () => {},
    }),
  }
  return world
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
