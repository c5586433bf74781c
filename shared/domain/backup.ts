/** How the guest is held still while its disks are snapshotted; `off`: no backups. */
export const BACKUP_MODES = {
  pause: 'the VM is paused for the moment of the snapshots',
  freeze: 'its guest agent freezes the file systems; without one, it is paused',
  crash: 'nothing is held still: for VMs that may not stand for a moment',
  off: 'not backed up',
} as const
export type BackupMode = keyof typeof BACKUP_MODES

/** What a boot test takes for a sign of life. */
export const BOOT_SIGNS = {
  any: 'the guest agent or the console, whichever is first',
  'guest-agent': 'the guest agent answers',
  console: 'the guest writes to its serial line',
} as const
export type BootSign = keyof typeof BOOT_SIGNS
