import { LifeboatError } from '../../../shared/errors.ts'
import { type ChunkIndex, parseIndex } from '../../vault/format/index.ts'
import type { Manifest } from '../../vault/format/manifest.ts'
import type { Vault } from '../../vault/vault.ts'
import { requireWhole } from '../require-whole.ts'
import type { RestoreFigures, RestoreJob, TransferOptions, WriteJob } from '../transfer.ts'
import { createCrew } from './crew.ts'
import { restoreDisk } from './restore-disk.ts'
import type { TransferWorld } from './send-backup.ts'

/** Check, write, read back: each an equal part of the way. */
const PASSES = 3

/** Writes the disks of one restore point; see Transfer.restore. The vault stays open. */
export async function writeRestore(
  job: RestoreJob,
  options: TransferOptions,
  world: TransferWorld,
): Promise<RestoreFigures> {
  const { vault, clock } = world
  const startedAt = clock.now()
  const manifest = await vault.manifest(job.ref)
  const indexes = await readIndexes(job, manifest, vault)
  const totalBytes = [...indexes.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const passed = { checked: 0, written: 0, readBack: 0 }
  const tell = (): void => {
    const sum = passed.checked + passed.written + passed.readBack
    options.onProgress?.(Math.floor(sum / PASSES), totalBytes)
  }
  const onCheck = (done: number, total: number): void => {
    passed.checked = (total === 0 ? 1 : done / total) * totalBytes
    tell()
  }
  if (job.checked) onCheck(1, 1)
  else await requireWhole(vault, job.ref, { signal: options.signal, onProgress: onCheck })

  const crew = createCrew(options.signal)
  let receivedBytes = 0
  crew.run(async () => {
    for (const [write, index] of indexes) {
      await restoreDisk({
        job: write,
        ref: job.ref,
        index,
        vault,
        crew,
        threads: world.threads,
        onReceived: bytes => {
          receivedBytes += bytes
        },
        onWritten: bytes => {
          passed.written += bytes
          tell()
        },
        onChecked: bytes => {
          passed.readBack += bytes
          tell()
        },
      })
    }
  })
  try {
    await crew.whenDone()
  } finally {
    crew.end()
  }
  return { writtenBytes: totalBytes, receivedBytes, durationMs: clock.now() - startedAt }
}

/** All of them, before the first byte is written. */
async function readIndexes(
  job: RestoreJob,
  manifest: Manifest,
  vault: Vault,
): Promise<Map<WriteJob, ChunkIndex>> {
  const indexes = new Map<WriteJob, ChunkIndex>()
  for (const write of job.writes) {
    const disk = manifest.disks.find(({ target }) => target === write.target)
    if (disk === undefined) {
      throw new LifeboatError('bad-input', `the restore point has no disk ${write.target}`)
    }
    const index = parseIndex(await vault.index(job.ref, write.target))
    if (index.sizeBytes !== disk.sizeBytes) {
      const message = `the index of ${write.target} is of ${index.sizeBytes} bytes, the disk has ${disk.sizeBytes}`
      throw new LifeboatError('refused', message)
    }
    indexes.set(write, index)
  }
  return indexes
}
