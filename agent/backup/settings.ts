import type { VaultAddress } from '../vault/client/connection.ts'
import type { BackupMode } from './snapshots.ts'

/**
 * What this blade backs up, when and to where: kept whole in the agent's database, so that the nights go on while the
 * controller is away.
 */
export interface BackupSettings {
  /** Undefined: no backups. */
  readonly vault: VaultAddress | undefined
  /** Cron, by the clock of the blade. */
  readonly schedule: string
  /** Each VM begins at a moment of its own within it. */
  readonly jitterMs: number
  readonly mode: BackupMode
  /** A VM that was made to stand runs again after this long, whatever happens (rule 2). */
  readonly pauseBudgetMs: number
  /** Of what is read, per second; 0: none. */
  readonly rateLimitBytes: number
  /** VMs with a setting of their own. */
  readonly vms: readonly VmBackupSettings[]
}

export interface VmBackupSettings {
  readonly vmId: string
  /** '': the default. */
  readonly schedule: string
  /** '': the default. */
  readonly mode: BackupMode | ''
}

/** Before the controller has said anything: no backups. */
export const NO_BACKUPS: BackupSettings = {
  vault: undefined,
  schedule: '0 2 * * *',
  jitterMs: 0,
  mode: 'off',
  pauseBudgetMs: 5000,
  rateLimitBytes: 0,
  vms: [],
}

/** How a VM is held still, its own setting before the default. */
export function modeOf(settings: BackupSettings, vmId: string): BackupMode {
  return ownOf(settings, vmId)?.mode || settings.mode
}

/** When a VM is backed up, its own setting before the default. */
export function scheduleOf(settings: BackupSettings, vmId: string): string {
  return ownOf(settings, vmId)?.schedule || settings.schedule
}

function ownOf(settings: BackupSettings, vmId: string): VmBackupSettings | undefined {
  return settings.vms.find(vm => vm.vmId === vmId)
}
