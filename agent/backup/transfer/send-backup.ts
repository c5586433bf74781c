import { hash } from 'node:crypto'
import type { Clock } from '../../../shared/clock.ts'
import { MINUTE_MS } from '../../../shared/domain/units.ts'
import { errorCode, formatErrorChain, isRetryable, LifeboatError } from '../../../shared/errors.ts'
import { createRate } from '../../rate.ts'
import { parseIndex } from '../../vault/format/index.ts'
import type { Manifest } from '../../vault/format/manifest.ts'
import type { BackupSession, Vault } from '../../vault/vault.ts'
import type { BackupJob, ReadJob, TransferOptions } from '../transfer.ts'
import { chunkCount, planChanged } from './changed.ts'
import { createCrew } from './crew.ts'
import type { FingerprintFolder, Fingerprints } from './fingerprints.ts'
import { readDisk, type Unread } from './read-disk.ts'
import { createSender } from './sender.ts'

/** A disk of nothing but zeros asks the vault nothing for hours, and the vault ends what it hears nothing of for 10 min. */
const SIGN_OF_LIFE_MS = 2 * MINUTE_MS

/** What the work stands on; `warn` tells what a person should know though the backup goes on. */
export interface TransferWorld {
  readonly vault: Vault
  readonly clock: Clock
  /** Threads that pack and unpack. */
  readonly threads: number
  /** Undefined: nothing is remembered from one night to the next. */
  readonly fingerprints?: FingerprintFolder | undefined
  readonly warn: (text: string) => void
}

/** Brings one restore point into the vault; see Transfer.backup. The vault stays open. */
export async function sendBackup(
  job: BackupJob,
  options: TransferOptions,
  world: TransferWorld,
): Promise<Manifest> {
  checkJob(job)
  const { vault, clock } = world
  const startedAt = clock.now()
  const session = await vault.begin({ vm: job.draft.vm, point: job.draft.point, nowAt: startedAt })
  try {
    const { indexes, readBytes, sentBytes } = await sendDisks(job, session, options, world)
    const disks: Manifest['disks'] = []
    let indexBytes = 0
    for (const disk of job.draft.disks) {
      const index = indexes.get(disk.target) ?? Buffer.alloc(0)
      await session.putIndex(disk.target, index)
      indexBytes += index.length
      disks.push({ ...disk, indexSha256: hash('sha256', index, 'hex') })
    }
    if (options.signal.aborted) throw new LifeboatError('aborted', 'stopped on request')
    const figures = {
      readBytes,
      sentBytes: sentBytes + indexBytes,
      storedBytes: sentBytes + indexBytes,
      durationMs: clock.now() - startedAt,
    }
    return await session.publish({ ...job.draft, disks, figures })
  } catch (error) {
    // What went wrong first is what is told; a vault that is gone aborts it by itself.
    await session.abort().catch(() => {})
    forgetIfRefused(error, job.draft.vm.id, world)
    throw error
  }
}

function checkJob({ draft, reads }: BackupJob): void {
  const problems = draft.disks.flatMap(disk => {
    const found = reads.filter(read => read.target === disk.target)
    if (found.length !== 1) return [`${disk.target} is read ${found.length} times`]
    const isSame = found[0]?.sizeBytes === disk.sizeBytes && found[0].chunkBytes === disk.chunkBytes
    return isSame ? [] : [`${disk.target} is read in another size than its manifest says`]
  })
  if (reads.length !== draft.disks.length) problems.push('a disk is read that the manifest does not name')
  if (problems.length > 0) {
    throw new LifeboatError('bad-input', 'the disks to read are not those of the manifest', {
      details: problems,
    })
  }
}

async function sendDisks(
  job: BackupJob,
  session: BackupSession,
  options: TransferOptions,
  world: TransferWorld,
): Promise<{ indexes: Map<string, Buffer>; readBytes: number; sentBytes: number }> {
  const crew = createCrew(options.signal)
  const sender = createSender(session, crew, {
    packers: world.threads,
    maxBytes: Math.max(...job.reads.map(({ chunkBytes }) => chunkBytes)),
  })
  const spend = createRate(job.rateLimitBytes, world.clock, crew.signal)
  const totalBytes = job.reads.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const indexes = new Map<string, Buffer>()
  let doneBytes = 0
  let readBytes = 0
  let signedAt = world.clock.now()
  const giveSign = (): void => {
    if (world.clock.now() - signedAt < SIGN_OF_LIFE_MS) return
    signedAt = world.clock.now()
    crew.run(async () => void (await session.missing([])))
  }
  crew.run(async () => {
    for (const read of job.reads) {
      const startBytes = doneBytes
      const onDone = (bytes: number, reallyRead: number): void => {
        doneBytes += bytes
        readBytes += reallyRead
        options.onProgress?.(doneBytes, totalBytes)
        giveSign()
      }
      const base = await readBase(read, job.draft.vm.id, world)
      const fingerprints = base === undefined ? openFingerprints(read, job.draft.vm.id, world) : undefined
      const reading = { job: read, session, sender, crew, spend, onDone, fingerprints }
      let index = await readDisk({ ...reading, unread: base })
      if (index === undefined) {
        world.warn(
          `${read.target}: not as in ${read.changed?.basePoint} where it did not change; all is read`,
        )
        doneBytes = startBytes
        // Lost chunks it was asked about and that were not brought.
        sender.forget()
        index = await readDisk({ ...reading, unread: undefined })
      }
      remember(read, fingerprints, world)
      indexes.set(read.target, index ?? Buffer.alloc(0))
    }
    sender.flush()
  })
  try {
    await crew.whenDone()
    await sender.sendRest()
    return { indexes, readBytes, sentBytes: sender.sentBytes }
  } finally {
    crew.end()
    sender.close()
  }
}

/** Those of a disk that is read whole; what is taken from a base is not read, so there is nothing to spare. */
function openFingerprints(read: ReadJob, vmId: string, world: TransferWorld): Fingerprints | undefined {
  const { chunkBytes } = read
  return world.fingerprints?.open(vmId, read.target, { count: chunkCount(read), chunkBytes })
}

/** A help for the next night, which must cost this one nothing. */
function remember(read: ReadJob, fingerprints: Fingerprints | undefined, world: TransferWorld): void {
  try {
    fingerprints?.save()
  } catch (error) {
    world.warn(`${read.target}: the next night hashes all of it again: ${formatErrorChain(error)}`)
  }
}

/** An id that memory has spoiled would be believed, and refused, every night. */
function forgetIfRefused(refusal: unknown, vmId: string, { fingerprints, warn }: TransferWorld): void {
  if (errorCode(refusal) !== 'bad-input' && errorCode(refusal) !== 'refused') return
  try {
    fingerprints?.forget(vmId)
  } catch (error) {
    warn(`what is remembered of earlier nights could not be forgotten: ${formatErrorChain(error)}`)
  }
}

/** Undefined: all is read, also when the base is there no more, or cut in another size. */
async function readBase(read: ReadJob, vmId: string, world: TransferWorld): Promise<Unread | undefined> {
  if (read.changed === undefined) return undefined
  const { basePoint, ranges } = read.changed
  try {
    const index = parseIndex(await world.vault.index({ vmId, point: basePoint }, read.target))
    const isOurs = index.digest === 'sha256' && index.maxChunkBytes === read.chunkBytes
    if (!isOurs) return undefined
    const base = { sizeBytes: index.sizeBytes, chunkBytes: read.chunkBytes }
    return { touched: planChanged(read, ranges, base), rawIdAt: position => index.rawIdAt(position) }
  } catch (error) {
    if (isRetryable(error)) throw error
    world.warn(`${read.target}: the base ${basePoint} cannot be used: ${formatErrorChain(error)}`)
    return undefined
  }
}
