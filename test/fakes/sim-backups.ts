import { readFileSync, writeFileSync } from 'node:fs'
import type { AgentSeams } from '../../agent/seams.ts'
import type { SimBlade } from '../../agent/sim/blade.ts'
import { createMemoryVault, type MemoryVault } from './memory-vault.ts'

/** What an agent over a simulated blade backs up with, when only the order of things counts: whole disks, in memory. */
export function simBackupSeams(
  blade: SimBlade,
  vault: MemoryVault = createMemoryVault(),
): Pick<AgentSeams, 'snapshots' | 'transfer' | 'vaults'> {
  return {
    snapshots: blade.snapshots,
    vaults: vault.vaults,
    transfer: vault.transfer({
      read: path => readFileSync(path, 'latin1'),
      write: (path, text) => writeFileSync(path, text, 'latin1'),
    }),
  }
}
