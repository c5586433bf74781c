import type { Case } from '../diagnosis/case.ts'
import type { AlertCause, AlertEntry } from './catalog.ts'

/** A vault that takes nothing is one matter, not one for each VM. */
const VAULT: readonly AlertCause[] = [{ code: 'vault-unreachable' }, { code: 'vault-full' }]

/** The VM of the case; empty when it is about a blade or vault as a whole. */
const list = (each: Case) => `lifeboat backup list${each.subject === '' ? '' : ` ${each.subject}`}`
const whose = (each: Case) => (each.subject === '' ? `VMs of ${each.scopeName}` : each.subject)

/** Backups, vaults and restore points. The subject is the VM. */
export const BACKUP_ALERTS = {
  'backup-overdue': {
    title: each => `${whose(each)}: backup overdue`,
    vms: () => 'The VM runs on; what it wrote since then would be lost with its blade.',
    next: each =>
      `The plan says when it is tried next, and why it did not work; ${each.subject === '' ? '`lifeboat backup run --all`' : `\`lifeboat backup run ${each.subject}\``} tries it now.`,
    nextCommand: each => `lifeboat backup plan${each.subject === '' ? '' : ` ${each.subject}`}`,
    dependsOn: [...VAULT, { code: 'blade-silent' }],
  },
  'backup-failed': {
    title: each => `${whose(each)}: its backup fails again and again`,
    vms: () => 'The VM runs on, and its older restore points are as they were.',
    next: each =>
      `Remove what the message names; \`lifeboat backup run ${each.subject}\` tries it now, else the blade tries again by itself.`,
    nextCommand: each => `lifeboat operation list --all --vm ${each.subject}`,
    dependsOn: VAULT,
  },
  'vault-unreachable': {
    title: each => `vault ${each.scopeName}: does not answer`,
    vms: () => 'The VMs run on; none of them is backed up, and none can be restored, until it is back.',
    next: () =>
      'Look at its host and network, then at `systemctl status lifeboat-vault` there. A backup that is due meanwhile is tried again by its blade, after 10 min and then less often, until it succeeds.',
    nextCommand: () => 'lifeboat vault status',
    dependsOn: [],
  },
  'vault-full': {
    title: each => `vault ${each.scopeName}: full, or nearly so`,
    vms: () =>
      'The VMs run on, and all restore points are kept as they are; new backups are refused once it is full.',
    next: () =>
      'Give it room, or keep fewer restore points in controller.toml: `lifeboat backup prune --dry-run` says what would go, `lifeboat vault gc` gives the room free.',
    nextCommand: () => 'lifeboat backup prune --dry-run',
    dependsOn: [],
  },
  'vault-clock-off': {
    title: each => `vault ${each.scopeName}: its clock and others differ`,
    vms: () =>
      'The VMs are backed up all the same; by a wrong clock the wrong restore points may be dropped as old.',
    next: () =>
      'Set the one that is wrong, on the vault, the controller or the blade, and let NTP keep it (`timedatectl`).',
    nextCommand: () => 'lifeboat vault status',
    dependsOn: [{ code: 'vault-unreachable' }],
  },
  'chunk-corrupt': {
    title: each => `vault ${each.scopeName}: data of restore points is damaged`,
    vms: () => 'The VMs run on; what is named cannot be restored as it is, all else can.',
    next: () =>
      'The next backup that brings the same data heals it: `lifeboat backup run --all` does so now. Then look at the disks of the vault; if only restore points of one blade are named, at the memory of that blade.',
    nextCommand: () => 'lifeboat vault status',
    dependsOn: [],
  },
  'restore-point-damaged': {
    title: each => `${whose(each)}: a restore point is not whole`,
    vms: () => 'The VM runs on; what is named cannot be restored as it is.',
    next: each =>
      `\`lifeboat backup run ${each.subject}\` makes a new one. Then look at the disks of the vault, or at the memory of the blade that wrote it.`,
    nextCommand: list,
    dependsOn: [],
  },
  'boot-test-failed': {
    title: each => `${whose(each)}: its restore point was not seen to boot`,
    vms: () => 'The VM itself is not touched and runs on; nothing of the test is left.',
    next: each =>
      `Restore it beside the VM and look at its console: \`lifeboat backup restore ${each.subject} --name NAME\`; \`lifeboat backup verify ${each.subject} --boot\` tries it again.`,
    nextCommand: list,
    dependsOn: [],
  },
  'boot-test-left': {
    title: each => `${each.scopeName}: the VM of a boot test is left there`,
    vms: () => 'No other VM is touched; the test VM takes memory and room, and is without network.',
    next: ({ scopeName, subject }) =>
      `On ${scopeName}: \`virsh domblklist ${subject}\` names its disks; \`virsh destroy ${subject}\` and \`virsh undefine --nvram ${subject}\`, then remove those disks (\`lvremove\`, \`rm\`).`,
    nextCommand: each => `lifeboat blade show ${each.scopeName}`,
    dependsOn: [{ code: 'blade-silent' }],
  },
} as const satisfies Record<string, AlertEntry>
