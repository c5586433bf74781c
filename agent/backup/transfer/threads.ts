import { availableParallelism } from 'node:os'

/** More than these would take the blade from its VMs. */
const MAX_THREADS = 4

/** Threads that pack or unpack: as many as cores, since one more costs a tenth of the CPU for nothing. */
export function packingThreads(): number {
  return Math.max(2, Math.min(MAX_THREADS, availableParallelism()))
}

/** Threads of the worker's pool: beside the packing ones, two that wait for the disk. */
export function poolThreads(): number {
  return packingThreads() + 2
}
