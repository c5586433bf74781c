import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openToRead, openToWrite } from '../../agent/backup/transfer/disk.ts'
import { createAlignedBuffers } from '../../agent/vault/format/aligned.ts'
import type { BenchImages } from './backup-images.ts'
import { sizeMib } from './backup-peers.ts'

const BLOCK_MIB = 2
const BLOCK_BYTES = BLOCK_MIB * 1024 * 1024
const LANES = 3

export interface Floors {
  /** The image read past the page cache, and nothing done with it. */
  readonly readS: number
  /** As many bytes as a restore writes, past the page cache and durable, then read back. */
  readonly writtenS: number
  readonly readBackS: number
}

/** What stands between us and the aims on this machine: measured beside the rounds, never a part of them. */
export async function measureFloors(
  folder: string,
  images: BenchImages,
  settled: <Result>(work: () => Promise<Result>) => Promise<Result>,
): Promise<Floors> {
  const readS = await settled(() => timeOf(() => readAll(images.night2)))
  const path = join(folder, 'floor.img')
  const bytes = Math.ceil((await sizeMib([images.night2])) / BLOCK_MIB) * BLOCK_BYTES
  writeFileSync(path, '')
  const writtenS = await settled(() => timeOf(() => writeAll(path, bytes)))
  const readBackS = await timeOf(() => readAll(path))
  rmSync(path)
  return { readS, writtenS, readBackS }
}

async function timeOf(work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await work()
  return (performance.now() - startedAt) / 1000
}

async function readAll(path: string): Promise<void> {
  const disk = await openToRead(path)
  try {
    await inLanes(statSync(path).size, (block, at) => disk.read(block, at))
  } finally {
    await disk.close()
  }
}

async function writeAll(path: string, bytes: number): Promise<void> {
  const disk = await openToWrite(path)
  try {
    await disk.makeRoom(bytes)
    await inLanes(bytes, (block, at) => disk.write(block, at))
    await disk.makeDurable()
  } finally {
    await disk.close()
  }
}

async function inLanes(bytes: number, act: (block: Buffer, at: number) => Promise<void>): Promise<void> {
  const blocks = createAlignedBuffers(BLOCK_BYTES, LANES)
  let next = 0
  await Promise.all(
    blocks.map(async block => {
      for (let at = next; at < bytes; at = next) {
        next += BLOCK_BYTES
        await act(block.subarray(0, Math.min(BLOCK_BYTES, bytes - at)), at)
      }
    }),
  )
}
