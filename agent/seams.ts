import type { Clock, IdSource } from '../shared/clock.ts'
import type { CommandRunner } from '../shared/exec.ts'
import type { Logger } from '../shared/log.ts'
import type { Snapshots } from './backup/snapshots.ts'
import type { Transfer } from './backup/transfer.ts'
import type { Vaults } from './backup/vaults.ts'
import type { HostFiles } from './health/host-files.ts'
import type { Power } from './health/power.ts'
import type { Hypervisor } from './hypervisor/hypervisor.ts'
import type { SocketDirectory } from './peer/sockets.ts'
import type { Volumes } from './storage/volumes.ts'

/** The doors to the world an agent works through. Real ones come from `hostSeams`, simulated ones from agent/sim. */
export interface AgentSeams {
  readonly hypervisor: Hypervisor
  readonly volumes: Volumes
  readonly snapshots: Snapshots
  readonly transfer: Transfer
  readonly vaults: Vaults
  readonly hostFiles: HostFiles
  /** Undefined: this blade has no BMC that may be asked. */
  readonly power: Power | undefined
  readonly run: CommandRunner
  /** Where the hypervisor wants its migration sockets. */
  readonly socketDirectories: readonly SocketDirectory[]
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
  /** Told the directories that hold disk files of VMs, whenever the inventory has looked. */
  readonly onDirectories?: (directories: readonly string[]) => void
}
