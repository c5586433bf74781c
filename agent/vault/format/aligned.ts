const PAGE_BYTES = 65_536
/** What direct I/O wants of offset, length and memory: the block of most disks, a multiple of the sector of all. */
export const ALIGNMENT = 4096

// The types of Node know the name only.
const { Memory } = (
  globalThis as unknown as {
    WebAssembly: {
      Memory: new (options: {
        initial: number
        maximum: number
        shared: boolean
      }) => { readonly buffer: SharedArrayBuffer }
    }
  }
).WebAssembly

/**
 * Buffers that begin at a page of memory, as direct I/O demands and Node's own never do: the memory of WebAssembly is
 * the only one with a promise about where it lies. They are parts of one memory, which threads may share.
 */
export function createAlignedBuffers(bytes: number, count: number): Buffer[] {
  const stride = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT
  const pages = Math.ceil((stride * count) / PAGE_BYTES)
  const memory = new Memory({ initial: pages, maximum: pages, shared: true })
  return Array.from({ length: count }, (_, number) => Buffer.from(memory.buffer, number * stride, bytes))
}

export function isAligned(bytes: Buffer, at: number): boolean {
  return at % ALIGNMENT === 0 && bytes.length % ALIGNMENT === 0 && bytes.byteOffset % ALIGNMENT === 0
}
