import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { LifeboatError } from '../../../shared/errors.ts'
import { isAligned } from '../../vault/format/aligned.ts'

/**
 * A volume, or an image file. Whole blocks go past the page cache: what is read once a night would push out what the
 * blade needs, what is read back shall come from the disk, and copying through the cache costs three times the CPU.
 * Buffers must come from `createAlignedBuffers`. Errors: `unavailable`.
 */
export interface Disk {
  /** Fills the buffer; also an error when the disk ends before. */
  read(into: Buffer, at: number): Promise<void>
  write(bytes: Buffer, at: number): Promise<void>
  /** Whether such bytes are read and written past the page cache. Known for certain after the first of them. */
  isDirect(bytes: Buffer, at: number): boolean
  /** A file that is shorter than the image grows to it; a device is as large as it is. */
  makeRoom(sizeBytes: number): Promise<void>
  makeDurable(): Promise<void>
  close(): Promise<void>
}

export async function openToRead(path: string): Promise<Disk> {
  return await openDisk(path, constants.O_RDONLY, `cannot open ${path}`)
}

/** It must exist. */
export async function openToWrite(path: string): Promise<Disk> {
  return await openDisk(path, constants.O_RDWR, `cannot open ${path} for writing`)
}

async function openDisk(path: string, flags: number, failure: string): Promise<Disk> {
  const plain = await told(failure, () => open(path, flags))
  // Not every file system has it.
  let direct = await open(path, flags | constants.O_DIRECT).catch(() => undefined)
  const opened = [plain, ...(direct === undefined ? [] : [direct])]
  /** The first time a file system says that it cannot, it is believed. */
  const viaBest = async <Value>(
    bytes: Buffer,
    at: number,
    act: (handle: FileHandle) => Promise<Value>,
  ): Promise<Value> => {
    if (direct !== undefined && isAligned(bytes, at)) {
      try {
        return await act(direct)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error
        direct = undefined
      }
    }
    return await act(plain)
  }
  return {
    read: async (into, at) => {
      for (let filled = 0; filled < into.length; ) {
        const [rest, from] = [into.subarray(filled), at + filled]
        const { bytesRead } = await told(`cannot read ${path} at byte ${from}`, () =>
          viaBest(rest, from, handle => handle.read(rest, 0, rest.length, from)),
        )
        if (bytesRead === 0) {
          const message = `${path} ends at byte ${from}, ${rest.length} bytes or more too early`
          throw new LifeboatError('unavailable', message)
        }
        filled += bytesRead
      }
    },
    write: async (bytes, at) => {
      for (let done = 0; done < bytes.length; ) {
        const [rest, from] = [bytes.subarray(done), at + done]
        const { bytesWritten } = await told(`cannot write ${path} at byte ${from}`, () =>
          viaBest(rest, from, handle => handle.write(rest, 0, rest.length, from)),
        )
        done += bytesWritten
      }
    },
    isDirect: (bytes, at) => direct !== undefined && isAligned(bytes, at),
    makeRoom: sizeBytes =>
      told(`cannot extend ${path}`, async () => {
        const found = await plain.stat()
        if (found.isFile() && found.size < sizeBytes) await plain.truncate(sizeBytes)
      }),
    makeDurable: () => told(`cannot make ${path} durable`, () => plain.sync()),
    close: async () => {
      for (const handle of opened) await handle.close()
    },
  }
}

async function told<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw new LifeboatError('unavailable', what, { cause: error })
  }
}
