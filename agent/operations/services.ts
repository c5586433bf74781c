import type { Clock } from '../../shared/clock.ts'
import type { Vm } from '../../shared/domain/fleet.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import type { BackupSettings } from '../backup/settings.ts'
import type { ChangedRanges, Snapshots } from '../backup/snapshots.ts'
import type { Transfer } from '../backup/transfer.ts'
import type { Turns } from '../backup/turns.ts'
import type { NetworkAccess, Vaults } from '../backup/vaults.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { PeerClient } from '../peer/client.ts'
import type { Volumes } from '../storage/volumes.ts'
import type { KeptStore } from '../store/kept-store.ts'
import type { MoveRow, MoveStore } from '../store/move-store.ts'
import type { VmMarks } from '../store/vm-marks.ts'
import type { VaultAddress } from '../vault/client/connection.ts'

/** What the steps of an order may use. One object per order: `run` keeps the commands of this order. */
export interface OperationServices {
  readonly hypervisor: Hypervisor
  readonly volumes: Volumes
  readonly moves: MoveStore
  readonly marks: VmMarks
  readonly kept: KeptStore
  readonly snapshots: Snapshots
  readonly transfer: Transfer
  readonly vaults: Vaults
  readonly turns: Turns
  /**
   * What may have changed since an earlier night, by backup and disk: an optimisation that is forgotten by a restart,
   * kept out of the journal because a busy disk has a hundred thousand ranges.
   */
  readonly changedRanges: Map<string, ReadonlyMap<string, ChangedRanges | undefined>>
  readonly peers: PeerClient
  readonly run: CommandRunner
  /** Differs after each boot of the blade. */
  readonly bootId: string
  readonly clock: Clock
  readonly log: Logger
  /** The VM as it is now, volumes and obstacles complete; undefined when it is not here. */
  lookUp(vmId: string): Promise<Vm | undefined>
  /** The order other than a backup that works on the VM now. */
  workingOn(vmId: string): { readonly orderId: string; readonly kind: string } | undefined
  backupSettings(): BackupSettings
  /** How this blade, by its certificate, gets at a vault. */
  vaultAccess(vault: VaultAddress): NetworkAccess
  /** Ends a running backup of the VM and waits until its snapshot is gone: evacuation has priority. */
  standAside(vmId: string): Promise<void>
  /** Makes the directories the hypervisor wants its migration sockets in. */
  makeSocketDirectories(): Promise<void>
  /** Ends every connection of a move and waits until nothing writes to its volumes. */
  closeDoor(move: MoveRow): Promise<void>
  /** Commands run for a move by its peer's word become commands of this order. */
  claimPeerCommands(moveId: string): void
  /** Tells the controller, now or when it can be reached again. */
  tell(kind: string, vm: string, text: string): void
}
