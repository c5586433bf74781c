import { MIB } from '../../shared/domain/units.ts'

/** Kernel, agent, libvirtd and the page cache of a small host. */
const LEAST_BYTES = 512 * MIB
/** Grows with the blade: QEMU's own overhead and the kernel's page tables do. */
const SHARE = 0.05

/** Memory no VM may have. `configuredBytes` is an administrator's word and wins, also when it is less. */
export function reservedMemoryBytes(memoryBytes: number, configuredBytes: number | undefined): number {
  return configuredBytes ?? Math.max(LEAST_BYTES, Math.round(memoryBytes * SHARE))
}
