import type { Capacity, Vm, Volume } from '../../shared/domain/fleet.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/**
 * The seam to local VM control. Comments here are the contract; `test/contract/hypervisor.ts` checks them on
 * the real (virsh) and the simulated one alike. VMs are named by their UUID: a name can be reused.
 * Every method throws `unavailable` when the hypervisor does not answer, `not-found` for an unknown VM.
 */
export interface Hypervisor {
  /** Every VM the hypervisor knows, running or not, by whoever made it. epoch 0 and incoming false: not known here. */
  list(): Promise<readonly Vm[]>
  /** Memory, CPUs, networks, versions; `pools` is empty: that is the business of Volumes. */
  capacity(): Promise<Omit<Capacity, 'pools' | 'reservedMemoryBytes'>>
  /** Calls back soon after anything changed, also by somebody else's hand. Returns the stop function. */
  watch(onChange: () => void): () => void

  /** Idempotent: starting a running VM is no error. */
  start(id: string, run: CommandRunner): Promise<void>
  /** Orderly shutdown within the time limit; `force` pulls the plug. Idempotent. */
  stop(id: string, force: boolean, timeoutMs: number, run: CommandRunner): Promise<void>
  /** Idempotent both. */
  pause(id: string, run: CommandRunner): Promise<void>
  resume(id: string, run: CommandRunner): Promise<void>

  /** 'absent' when the hypervisor has no such VM. */
  state(id: string): Promise<Vm['state'] | 'absent'>
  /** The persistent definition, as text only this hypervisor reads. */
  definition(id: string): Promise<string>
  /** Idempotent. */
  define(definition: string, run: CommandRunner): Promise<void>
  /** Drops the definition of a stopped VM, keeps its volumes. Idempotent. Refuses (`refused`) a running VM. */
  undefine(id: string, run: CommandRunner): Promise<void>
  /**
   * A definition for the VM that a restore makes: what `definition` gave once, on this or another blade, changed. Pure.
   * Throws `bad-input` when it is none of this hypervisor's, or has a disk without a new path.
   */
  adaptDefinition(definition: string, changes: DefinitionChanges): string
  /** What the guest inside shows of itself. Cheap enough to be asked each second; a guest without any is no error. */
  signsOfLife(id: string): Promise<SignsOfLife>
  /**
   * Drops the definition of a stopped VM and everything beside its volumes that was its own: UEFI variables, TPM state,
   * the console of an isolated one. For VMs Lifeboat made itself. Idempotent. Refuses (`refused`) a running VM.
   */
  erase(id: string, run: CommandRunner): Promise<void>
  /** Does the hypervisor start it at boot by itself? Asked before a move, so that the VM keeps the property. */
  autostart(id: string): Promise<boolean>
  /** libvirt would start an autostart VM at boot by itself; off while a VM is between two blades (rule 8). */
  setAutostart(id: string, on: boolean, run: CommandRunner): Promise<void>
  /** Drops the remains of a migration that ended without us: a paused, never confirmed incoming VM. Idempotent. */
  destroyIncoming(id: string, run: CommandRunner): Promise<void>

  /**
   * Live migration with storage copy through UNIX sockets (see MigrationSockets). Resolves when the VM is off here
   * and *paused* there: the target never runs it by itself, so that no lost connection can make it run twice
   * (libvirt's own protocol has that window: its source comment on a lost Finish reply leaves it to a lock manager).
   * Rejects with the VM running here. Aborting the signal cancels the migration.
   */
  migrate(id: string, sockets: MigrationSockets, options: MigrateOptions): Promise<MigrationStatistics>
  /** Is a migration of this VM away from here still going on (also one that an earlier agent process began)? */
  isMigrating(id: string): Promise<boolean>
  /** Asks the hypervisor to cancel it; the VM stays here. Idempotent. */
  cancelMigration(id: string, run: CommandRunner): Promise<void>
  /** Where the target's hypervisor listens for each channel of this migration. */
  incomingSockets(vmName: string, moveId: string): MigrationSockets
  /** Where the source's agent must listen, so that its hypervisor may connect. */
  outgoingSockets(vmName: string, moveId: string): MigrationSockets
}

export interface DefinitionChanges {
  readonly id: string
  readonly name: string
  /** By the disk's name inside the VM: where it lies now, and as what. */
  readonly disks: ReadonlyMap<string, Pick<Volume, 'path' | 'format'>>
  /** Fresh MAC addresses, and nothing else that must be there once only. */
  readonly newIdentity: boolean
  /** For a look only: the machine and its disks, no network, nothing of the blade, its console where `signsOfLife` reads it. */
  readonly isolated: boolean
}

export interface SignsOfLife {
  /** The guest agent answers. */
  readonly agent: boolean
  /** Printed on its console since it was started; 0 for a VM that is not isolated. */
  readonly consoleBytes: number
}

/** Paths of UNIX sockets. `control` the hypervisor's own protocol, `memory` RAM and state, `disk` storage copy. */
export interface MigrationSockets {
  readonly control: string
  readonly memory: string
  readonly disk: string
}
export type MigrationChannel = keyof MigrationSockets

export interface MigrateOptions {
  /** Names inside the VM (vda) of the disks that travel. */
  readonly disks: readonly string[]
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly run: CommandRunner
  onProgress(doneBytes: number, totalBytes: number): void
}

export interface MigrationStatistics {
  /** From the hypervisor's own job statistics. */
  readonly downtimeMs: number
  readonly transferredBytes: number
  readonly durationMs: number
}
