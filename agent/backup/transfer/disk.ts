import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { LifeboatError } from '../../../shared/errors.ts'

/** Errors: `unavailable`. */
export async function openToRead(path: string): Promise<FileHandle> {
  return await told(`cannot open ${path}`, () => open(path, constants.O_RDONLY))
}

/** It must exist. Errors: `unavailable`. */
export async function openToWrite(path: string): Promise<FileHandle> {
  return await told(`cannot open ${path} for writing`, () => open(path, constants.O_RDWR))
}

/** Fills the buffer. Errors: `unavailable`, also when the disk ends before. */
export async function readFully(handle: FileHandle, path: string, into: Buffer, at: number): Promise<void> {
  for (let filled = 0; filled < into.length; ) {
    const { bytesRead } = await told(`cannot read ${path} at byte ${at + filled}`, () =>
      handle.read(into, filled, into.length - filled, at + filled),
    )
    if (bytesRead === 0) {
      const message = `${path} ends at byte ${at + filled}, ${into.length - filled} bytes or more too early`
      throw new LifeboatError('unavailable', message)
    }
    filled += bytesRead
  }
}

/** Errors: `unavailable`. */
export async function writeFully(handle: FileHandle, path: string, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await told(`cannot write ${path} at byte ${at + done}`, () =>
      handle.write(bytes, done, bytes.length - done, at + done),
    )
    done += bytesWritten
  }
}

/** A file that is shorter than the image grows to it; a device is as large as it is. Errors: `unavailable`. */
export async function makeRoom(handle: FileHandle, path: string, sizeBytes: number): Promise<void> {
  await told(`cannot extend ${path}`, async () => {
    const found = await handle.stat()
    if (found.isFile() && found.size < sizeBytes) await handle.truncate(sizeBytes)
  })
}

/** Errors: `unavailable`. */
export async function makeDurable(handle: FileHandle, path: string): Promise<void> {
  await told(`cannot make ${path} durable`, () => handle.sync())
}

async function told<Value>(what: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (error) {
    throw new LifeboatError('unavailable', what, { cause: error })
  }
}
