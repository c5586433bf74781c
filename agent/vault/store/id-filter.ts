/**
 * A set of chunk ids that never forgets one and takes the same memory for any number: 16 MiB of bits, three of them for
 * each id, taken from the id itself, which is a hash already. What is not in the set may seem to be, for one id in
 * 100,000 with a million in it, one in 120 with ten million. Collection keeps such a chunk this time, and the next sweep
 * looks through another window of the ids: so it goes later. A chunk in use is never mistaken for garbage.
 *
 * An exact set of ten million ids would take a gigabyte, or a pass over all indexes for each part of the ids.
 */
export interface IdFilter {
  /** The 32 bytes of an id. */
  add(rawId: Uint8Array): void
  has(rawId: Uint8Array): boolean
}

const BITS = 27
const PROBES = 3
const ID_BYTES = 32
const BYTES_OF_PROBE = 4

/** `window`: which bytes of the ids it looks at; another one for each sweep. */
export function createIdFilter(window: number, bits = BITS): IdFilter {
  const words = new Uint32Array(2 ** (bits - 5))
  const begin = window % (ID_BYTES - PROBES * BYTES_OF_PROBE + 1)
  const bitOf = (rawId: Uint8Array, probe: number): number => {
    const at = begin + probe * BYTES_OF_PROBE
    const value =
      ((rawId[at] ?? 0) << 24) |
      ((rawId[at + 1] ?? 0) << 16) |
      ((rawId[at + 2] ?? 0) << 8) |
      (rawId[at + 3] ?? 0)
    return value >>> (32 - bits)
  }
  return {
    add: rawId => {
      for (let probe = 0; probe < PROBES; probe++) {
        const bit = bitOf(rawId, probe)
        words[bit >>> 5] = (words[bit >>> 5] ?? 0) | (1 << (bit & 31))
      }
    },
    has: rawId => {
      for (let probe = 0; probe < PROBES; probe++) {
        const bit = bitOf(rawId, probe)
        if (((words[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) return false
      }
      return true
    },
  }
}
