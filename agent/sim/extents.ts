import { open } from 'node:fs/promises'
import { LifeboatError } from '../../shared/errors.ts'
import type { VolumeExtent } from '../storage/volumes.ts'

/** Small enough for a smooth rate limit, large enough that a 16 MiB disk is 256 reads. */
const BLOCK_BYTES = 64 * 1024

/** The blocks of an image that are not all zero, in order. Stops with `aborted` when the signal fires. */
export async function* readExtents(hostPath: string, signal: AbortSignal): AsyncIterable<VolumeExtent> {
  const handle = await open(hostPath, 'r')
  try {
    for (let offsetBytes = 0; ; ) {
      if (signal.aborted) throw new LifeboatError('aborted', `reading ${hostPath} was stopped`)
      const block = Buffer.alloc(BLOCK_BYTES)
      const { bytesRead } = await handle.read(block, 0, BLOCK_BYTES, offsetBytes)
      if (bytesRead === 0) return
      const data = block.subarray(0, bytesRead)
      if (data.some(byte => byte !== 0)) yield { offsetBytes, data }
      offsetBytes += bytesRead
    }
  } finally {
    await handle.close()
  }
}

/** Writes extents and returns when they are durable. Never grows the image: `bad-input` past its end. */
export async function writeExtents(hostPath: string, extents: AsyncIterable<VolumeExtent>): Promise<void> {
  const handle = await open(hostPath, 'r+')
  try {
    const { size } = await handle.stat()
    for await (const { offsetBytes, data } of extents) {
      if (offsetBytes + data.length > size) {
        throw new LifeboatError(
          'bad-input',
          `an extent ends at ${offsetBytes + data.length}, ${hostPath} at ${size}`,
        )
      }
      await handle.write(data, 0, data.length, offsetBytes)
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}
