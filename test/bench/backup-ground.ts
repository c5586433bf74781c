import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { must, run } from '../lab/run.ts'
import { benchCache } from './backup-images.ts'

/** Where the repositories lie while it is measured. */
export interface Ground {
  readonly folder: string
  remove(): Promise<void>
}

const GROUND_BYTES = 48 * 1024 ** 3

/**
 * A file system of its own, so that nobody else's work is measured: `sync` would write what others have written, and
 * for six minutes after it deleted thousands of files ext4 looks longer for every free inode. Without root, a folder.
 */
export async function prepareGround(say: (text: string) => void): Promise<Ground> {
  const folder = join(benchCache(), `ground-${process.pid}`)
  const image = `${folder}.img`
  mkdirSync(folder, { recursive: true })
  if (process.getuid?.() !== 0) {
    say('not root: measures on the file system of the cache, beside all that others do there')
    return { folder, remove: async () => rmSync(folder, { recursive: true, force: true }) }
  }
  writeFileSync(image, '')
  truncateSync(image, GROUND_BYTES)
  await must(['mkfs.ext4', '-q', '-F', image], { timeoutMs: 120_000 })
  const device = (await must(['losetup', '--find', '--show', '--direct-io=on', image])).trim()
  await must(['mount', device, folder])
  return {
    folder,
    remove: async () => {
      await run(['umount', folder], { timeoutMs: 120_000 })
      await run(['losetup', '--detach', device])
      rmSync(image, { force: true })
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
