import { randomBytes } from 'node:crypto'
import { closeSync, mkdirSync, openSync, readSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { ReadJob } from '../../agent/backup/transfer.ts'
import type { BenchImages } from './backup-images.ts'
import { type MeasuredBackup, type Programs, startOurs } from './backup-ours.ts'
import { verdict } from './backup-verdicts.ts'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const LARGE_BYTES = 64 * GIB
const CHUNK_BYTES = 512 * 1024
const BLOCK = 4096
/** How the changed GiB lies in the volume. */
const RUN_BYTES = 16 * MIB
const POINTS = ['20250101T020512Z', '20250102T020512Z', '20250103T020512Z'] as const

/**
 * A volume of 64 GiB, sparse, but with something of its own in each chunk, so that its index names 131,072 different
 * ones: the memory its first night takes, and the CPU of a second night with thin help, when 1 GiB changed, against
 * that of a volume of 1 GiB.
 */
export async function measureLarge(
  work: string,
  programs: Programs,
  images: BenchImages,
  say: (text: string) => void,
): Promise<string[]> {
  const folder = join(work, 'large')
  mkdirSync(folder, { recursive: true })
  const large = join(folder, 'large.img')
  say('a volume of 64 GiB, with something in each of its 131,072 chunks')
  makeLarge(large)
  const ours = await startOurs(folder, programs)
  try {
    const tell = (what: string, found: MeasuredBackup): MeasuredBackup => {
      const parts = `worker ${found.workerCpuS.toFixed(1)} + vault ${found.vaultCpuS.toFixed(1)}`
      const memory = `${found.workerPeakMib.toFixed(0)} and ${found.vaultPeakMib.toFixed(0)} MiB`
      say(`${what}: ${found.wallS.toFixed(1)} s, CPU ${found.cpuS.toFixed(1)} s (${parts}), peak ${memory}`)
      return found
    }
    const first = tell('64 GiB, first night', await ours.backup(POINTS[0], large))
    const changed = changeGib(large, images.night1)
    const base: ReadJob['changed'] = { basePoint: POINTS[0], ranges: changed }
    const helped = tell('64 GiB, 1 GiB changed', await ours.backup(POINTS[1], large, base))
    const small = join(folder, 'small.img')
    writeFileSync(small, '')
    truncateSync(small, GIB)
    copyShifted(images.night1, small, 54_321, [{ fromBytes: 0, toBytes: GIB }])
    const plain = tell('1 GiB, first night', await ours.backup(POINTS[2], small))
    return [
      verdict('64 GiB, peak memory of the worker, MiB', first.workerPeakMib, 'at most', 200),
      verdict('64 GiB with 1 GiB changed, CPU against 1 GiB', helped.cpuS / plain.cpuS, 'at most', 1.5),
    ]
  } finally {
    await ours.close()
  }
}

function makeLarge(path: string): void {
  writeFileSync(path, '')
  truncateSync(path, LARGE_BYTES)
  const file = openSync(path, 'r+')
  for (let at = 0; at < LARGE_BYTES; at += CHUNK_BYTES) writeSync(file, randomBytes(BLOCK), 0, BLOCK, at)
  closeSync(file)
}

/** One GiB, in runs spread over the volume; returns where. */
function changeGib(path: string, from: string): { fromBytes: number; toBytes: number }[] {
  const step = LARGE_BYTES / (GIB / RUN_BYTES)
  const ranges = Array.from({ length: GIB / RUN_BYTES }, (_, run) => ({
    fromBytes: run * step,
    toBytes: run * step + RUN_BYTES,
  }))
  copyShifted(from, path, 12_345, ranges)
  return ranges
}

/** Data like that of the image, which no vault has yet: it does not lie at the bounds of a block. */
function copyShifted(
  from: string,
  to: string,
  shift: number,
  ranges: readonly { readonly fromBytes: number; readonly toBytes: number }[],
): void {
  const source = openSync(from, 'r')
  const target = openSync(to, 'r+')
  const piece = Buffer.alloc(MIB)
  let read = shift
  for (const { fromBytes, toBytes } of ranges) {
    for (let at = fromBytes; at < toBytes; at += MIB) {
      readSync(source, piece, 0, MIB, read)
      writeSync(target, piece, 0, MIB, at)
      read += MIB
    }
  }
  closeSync(source)
  closeSync(target)
}
