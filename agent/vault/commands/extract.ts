import { type FileHandle, open, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { formatBytes } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { chunkPath, openChunk } from '../format/chunk.ts'
import { type ChunkIndex, parseIndex } from '../format/index.ts'
import { eachBounded } from '../store/bounded.ts'
import { fileErrorCode, readIfThere } from '../store/files.ts'
import { show, type VaultCommandContext } from './context.ts'
import { fileTrouble } from './file-trouble.ts'

const CHUNKS_AT_ONCE = 4

interface ExtractOptions {
  readonly store?: string
  readonly to: string
}

export function addExtractCommand(program: Command, context: VaultCommandContext): void {
  program
    .command('extract')
    .description("write the image of a casync index: one of a vault's, or what `casync make` wrote")
    .argument('<index>', 'a .caibx file')
    .option('--store <dir>', 'its chunks; without it default.castr beside the index, as casync has it')
    .requiredOption('--to <file>', 'the file to make; nothing is overwritten')
    .addHelpText(
      'after',
      `
Every chunk is hashed before it is written. Chunks must be packed by zstd, as casync does.

Example:
  casync make --store=backup.castr web01.caibx /dev/vg0/web01
  lifeboat-vault extract web01.caibx --store backup.castr --to web01.raw`,
    )
    .action((path: string, options: ExtractOptions) => extract(context, path, options))
}

async function extract(context: VaultCommandContext, path: string, options: ExtractOptions): Promise<void> {
  const store = options.store ?? join(dirname(path), 'default.castr')
  const index = parseIndex(await readIndex(path))
  const file = await makeFile(options.to)
  try {
    try {
      await file.truncate(index.sizeBytes)
      await writeChunks(context, index, store, (bytes, at) => writeAll(file, options.to, bytes, at))
      await file.sync()
    } finally {
      await file.close()
    }
  } catch (error) {
    await rm(options.to, { force: true })
    throw fileTrouble(`cannot write ${options.to}`, options.to, error)
  }
  const { count, sizeBytes, digest } = index
  show(
    context,
    { file: options.to, chunks: count, sizeBytes, digest },
    () => `${options.to}: ${formatBytes(sizeBytes)} of ${count} chunks, each hashed`,
  )
}

async function readIndex(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw fileTrouble(`cannot read ${path}`, path, error)
  }
}

async function makeFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx')
  } catch (error) {
    if (fileErrorCode(error) === 'EEXIST')
      throw new LifeboatError('already-exists', `${path} is there already`)
    throw fileTrouble(`cannot make ${path}`, path, error)
  }
}

/** A nearly full disk takes less than it is given, and says so only in its answer. */
async function writeAll(file: FileHandle, path: string, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, at + done)
    if (bytesWritten === 0) {
      throw new LifeboatError(
        'unavailable',
        `cannot write ${path} at byte ${at + done}: its file system takes no more: df -h ${dirname(path)}`,
      )
    }
    done += bytesWritten
  }
}

/** Zeroes are left out: the file is new and reads zero there. */
async function writeChunks(
  context: VaultCommandContext,
  index: ChunkIndex,
  store: string,
  write: (bytes: Buffer, at: number) => Promise<void>,
): Promise<void> {
  const zeroes = Buffer.alloc(index.maxChunkBytes)
  let done = 0
  await eachBounded(Array(index.count).keys(), CHUNKS_AT_ONCE, async position => {
    if (context.interrupted.aborted) throw new LifeboatError('aborted', 'stopped on request')
    const id = index.idAt(position)
    const frame = await readIfThere(join(store, chunkPath(id)))
    if (frame === undefined) throw new LifeboatError('not-found', `${store} lacks chunk ${id}`)
    const bytes = await openChunk(id, frame, index.digest, index.maxChunkBytes)
    const wanted = index.endAt(position) - index.startAt(position)
    if (bytes.length !== wanted) {
      throw new LifeboatError('bad-input', `chunk ${id} has ${bytes.length} bytes, its index says ${wanted}`)
    }
    if (!bytes.equals(zeroes.subarray(0, bytes.length))) await write(bytes, index.startAt(position))
    done += bytes.length
    context.progress('extracting', done, index.sizeBytes)
  })
}
