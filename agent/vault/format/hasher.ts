import { hash } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import type { Digest } from './index.ts'

/** Hashes on two cores what lies in buffers of one shared memory: for who waits for nothing else. */
export interface Hasher {
  /** Digests as hex, in their order, of parts of those buffers; of others too, without help. */
  digest(parts: readonly Buffer[]): Promise<readonly string[]>
  close(): void
}

/** As much is hashed here before a thread is worth its start (0.03 s of CPU, 15 MiB). */
const WORTH_BYTES = 64 * 1024 * 1024
/** What the thread has before it: one batch it works on, one so that it goes on at once. More is hashed here. */
const THREAD_BATCHES = 2

interface Batch {
  readonly parts: readonly Buffer[]
  readonly resolve: (ids: readonly string[]) => void
}

/**
 * One thread beside the main one, which takes what the thread does not get to: a digest in Node's thread pool would copy
 * the bytes first, and into memory of their own. The buffers: of one call of `createAlignedBuffers`.
 */
export function createHasher(
  buffers: readonly Buffer[],
  digest: Digest,
  worthBytes: number = WORTH_BYTES,
): Hasher {
  const memory = buffers[0]?.buffer
  let hashedHere = 0
  // A thread would get a copy of any other memory.
  let isOver = !(memory instanceof SharedArrayBuffer)
  let thread: Worker | undefined
  let isReady = false
  let batches: Batch[] = []
  const here = (parts: readonly Buffer[]): readonly string[] => parts.map(part => hash(digest, part, 'hex'))

  const start = (): void => {
    thread = new Worker(`(${hashInThread})()`, { eval: true, workerData: { memory, digest } })
    thread.unref()
    thread.once('online', () => {
      isReady = true
    })
    thread.on('message', (ids: readonly string[]) => batches.shift()?.resolve(ids))
    // It is only help: what it leaves is hashed here, and no other is started.
    thread.on('error', () => {
      isOver = true
      const left = batches
      batches = []
      for (const { parts, resolve } of left) resolve(here(parts))
    })
  }

  return {
    digest: async parts => {
      const isSeen = parts.every(({ buffer }) => buffer === memory)
      if (isReady && !isOver && isSeen && batches.length < THREAD_BATCHES) {
        const ids = new Promise<readonly string[]>(resolve => batches.push({ parts, resolve }))
        thread?.postMessage(parts.map(({ byteOffset, length }) => [byteOffset, length]))
        return await ids
      }
      hashedHere += parts.reduce((sum, { length }) => sum + length, 0)
      if (thread === undefined && !isOver && hashedHere >= worthBytes) start()
      return here(parts)
    },
    close: () => {
      isOver = true
      void thread?.terminate()
    },
  }
}

/** The program of the thread, which has nothing but what is in here. */
function hashInThread(): void {
  const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads')
  const { hash } = process.getBuiltinModule('node:crypto')
  const bytes = Buffer.from(workerData.memory)
  parentPort?.on('message', (parts: readonly (readonly [number, number])[]) => {
    parentPort.postMessage(
      parts.map(([at, length]) => hash(workerData.digest, bytes.subarray(at, at + length), 'hex')),
    )
  })
}
