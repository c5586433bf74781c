import { createCipheriv } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { must } from '../lab/run.ts'

const MIB = 1024 * 1024
const BLOCK = 4096
export const IMAGE_BYTES = 4096 * MIB
/** Files of this machine, in this order, up to so many bytes: what lies on the system disk of a VM. */
const FOLDERS = ['/usr/bin', '/usr/include', '/var/lib/dpkg', '/usr/share', '/usr/lib']
const FILES_BYTES = 2390 * MIB
const RANDOM_BYTES = 286 * MIB
/** 3 % of the blocks: runs of writes, pages of data bases at random, single blocks. */
const CHANGED_BLOCKS = 31_457
const MIX = { extents: 0.58, pages: 0.4 }
const WINDOWS = 5
const WINDOW_BYTES = 64 * MIB
const SEED = 20_261_128

export interface BenchImages {
  readonly night1: string
  readonly night2: string
}

/** Outside the tree: `~/.cache/lifeboat-bench`. */
export function benchCache(): string {
  return join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lifeboat-bench')
}

/** A 4 GiB ext4 image with files of this machine, and the same a night later; made once, then kept. */
export async function makeImages(say: (text: string) => void): Promise<BenchImages> {
  const cache = benchCache()
  const images = { night1: join(cache, 'night1.img'), night2: join(cache, 'night2.img') }
  mkdirSync(cache, { recursive: true })
  if (!existsSync(images.night1)) {
    say('makes the image of the first night (4 GiB, once)')
    await makeFirst(cache, images.night1)
    rmSync(images.night2, { force: true })
  }
  if (!existsSync(images.night2)) {
    say('makes the image of the second night')
    await makeSecond(images)
  }
  return images
}

async function makeFirst(cache: string, image: string): Promise<void> {
  const stage = join(cache, 'stage')
  rmSync(stage, { recursive: true, force: true })
  let left = FILES_BYTES
  for (const folder of FOLDERS) left = stageFolder(folder, stage, left)
  mkdirSync(join(stage, 'srv'), { recursive: true })
  writeRandom(join(stage, 'srv/random'), RANDOM_BYTES)
  const temporary = `${image}.new`
  rmSync(temporary, { force: true })
  const file = openSync(temporary, 'w')
  ftruncateSync(file, IMAGE_BYTES)
  closeSync(file)
  const uuid = '00000000-0000-4000-8000-000000000003'
  const options = ['-q', '-F', '-t', 'ext4', '-U', uuid, '-E', `hash_seed=${uuid}`, '-d', stage]
  await must(['mke2fs', ...options, temporary], { timeoutMs: 600_000 })
  rmSync(stage, { recursive: true, force: true })
  renameSync(temporary, image)
}

/** Regular files and folders, sorted by name; returns how many bytes are left. */
function stageFolder(folder: string, stage: string, bytesLeft: number): number {
  let left = bytesLeft
  mkdirSync(join(stage, folder), { recursive: true })
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) left = stageFolder(path, stage, left)
    else if (entry.isFile()) {
      const { size } = lstatSync(path)
      if (size > left) continue
      left -= size
      stageFile(path, join(stage, path))
    }
  }
  return left
}

function stageFile(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  try {
    linkSync(from, to)
  } catch {
    copyFileSync(from, to)
  }
}

function writeRandom(path: string, bytes: number): void {
  const stream = createRandom(1)
  const file = openSync(path, 'w')
  for (let done = 0; done < bytes; done += MIB) writeSync(file, stream(MIB))
  closeSync(file)
}

/** Bytes of a cipher under the seed: the same on every machine. */
function createRandom(number: number): (bytes: number) => Buffer {
  const key = Buffer.alloc(32)
  key.writeUInt32LE(SEED)
  key.writeUInt32LE(number, 4)
  const cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16))
  return bytes => cipher.update(Buffer.alloc(bytes))
}

async function makeSecond({ night1, night2 }: BenchImages): Promise<void> {
  const temporary = `${night2}.new`
  await must(['cp', '--sparse=always', night1, temporary], { timeoutMs: 600_000 })
  const file = openSync(temporary, 'r+')
  changeBlocks(file)
  fsyncSync(file)
  closeSync(file)
  renameSync(temporary, night2)
}

function changeBlocks(file: number): void {
  const random = createNumbers(2)
  const used = findUsed(file)
  const blocks = Math.floor(fstatSync(file).size / BLOCK)
  const changed = new Uint8Array(blocks)
  let count = 0
  const change = (from: number, length: number): void => {
    for (let block = from; block < Math.min(blocks, from + length); block++) {
      if (changed[block] === 1) continue
      changed[block] = 1
      count++
      writeBlock(file, block, used, random)
    }
  }
  const anyUsed = (): number => used[random(used.length)] ?? 0
  while (count < CHANGED_BLOCKS * MIX.extents) change(anyUsed(), 16 + random(512 - 16 + 1))
  const windows = Array.from({ length: WINDOWS }, anyUsed)
  while (count < CHANGED_BLOCKS * (MIX.extents + MIX.pages)) {
    const page = (windows[random(WINDOWS)] ?? 0) + 2 * random(WINDOW_BYTES / BLOCK / 2)
    change(page, 2)
  }
  while (count < CHANGED_BLOCKS) change(anyUsed(), 1)
}

/** Blocks that are not all zero. */
function findUsed(file: number): number[] {
  const used: number[] = []
  const piece = Buffer.alloc(MIB)
  const zero = Buffer.alloc(BLOCK)
  for (let offset = 0; offset < IMAGE_BYTES; offset += MIB) {
    readSync(file, piece, 0, MIB, offset)
    for (let at = 0; at < MIB; at += BLOCK) {
      if (!piece.subarray(at, at + BLOCK).equals(zero)) used.push((offset + at) / BLOCK)
    }
  }
  return used
}

/** Data like the rest of the disk, but new: some of it from elsewhere, not at the bounds of a block, a few bytes changed. */
function writeBlock(file: number, block: number, used: readonly number[], random: (below: number) => number) {
  const from = (used[random(used.length)] ?? 0) * BLOCK + 1 + random(BLOCK - 1)
  const bytes = Buffer.alloc(BLOCK)
  readSync(file, bytes, 0, BLOCK, Math.min(from, IMAGE_BYTES - BLOCK))
  for (let at = 0; at < BLOCK; at += 512) bytes.writeUInt32LE(random(0x1_0000_0000), at + random(500))
  writeSync(file, bytes, 0, BLOCK, block * BLOCK)
}

/** Whole numbers from 0, below the given one, at most 2^32. */
function createNumbers(number: number): (below: number) => number {
  const stream = createRandom(number)
  let pool: Buffer = Buffer.alloc(0)
  let at = 0
  return below => {
    if (at + 4 > pool.length) {
      pool = stream(64 * 1024)
      at = 0
    }
    at += 4
    return Math.floor((pool.readUInt32LE(at - 4) / 0x1_0000_0000) * below)
  }
}
