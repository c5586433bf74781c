import { readdirSync } from 'node:fs'
import { availableParallelism, constants, setPriority } from 'node:os'

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

/**
 * VMs go first. On Linux each thread has its own priority; those yet to come have that of the thread that starts them.
 * `threads`: the ids of this process's own by default. One that has ended since they were listed is passed over: Node's
 * start ends some, about once in fifty starts at just this moment.
 */
export function yieldToVms(threads: readonly string[] = readdirSync('/proc/self/task')): void {
  for (const thread of threads) {
    try {
      setPriority(Number(thread), constants.priority.PRIORITY_BELOW_NORMAL)
    } catch (error) {
      if ((error as { info?: NodeJS.ErrnoException }).info?.code !== 'ESRCH') throw error
    }
  }
}
