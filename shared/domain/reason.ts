/** A refusal is data: a code of this closed list, a sentence, and the numbers behind it. */
export const REASON_CODES = {
  'blade-not-in-service': 'the blade is cordoned or in maintenance (rule 6)',
  'blade-not-healthy': 'the blade is not healthy (rule 6)',
  'blade-not-up': 'the blade does not report (rule 6)',
  'blade-is-source': 'the VM is there already',
  'blade-unknown': 'no such blade, or it has not reported yet',
  'vm-limit': 'the blade runs as many VMs as it may (rule 5)',
  'memory-short': 'not enough memory beside the reserve (rule 5)',
  'vcpus-short': 'too few vCPUs at the ratio of the configuration',
  'storage-missing': 'the blade has no storage pool of that name and kind',
  'storage-short': 'not enough room in the storage pool, beside what backups need (rule 5)',
  'network-missing': 'a network of the VM does not exist on the blade',
  'cpu-model-missing': 'the blade cannot offer the CPU model of the VM',
  'machine-unknown': 'the hypervisor of the blade is older than the machine type of the VM',
  'name-taken': 'another VM, or a volume, of that name is there',
  pinned: 'the VM may only be on other blades (placement rule)',
  'kept-apart': 'a VM that must be apart from it is in the same fault domain (placement rule)',
  'kept-together': 'a VM it must be together with is on another blade (placement rule)',
  'policy-stay': 'the VM stays when its blade is emptied for that cause (placement rule)',
  'policy-ask': 'the VM waits until a person empties its blade (placement rule)',
  'passed-through-device': 'a device of the blade is passed through to the VM',
  'host-cdrom': 'a CD-ROM or floppy of the VM reads a file or device of the blade',
  'disk-not-local': 'a disk of the VM is neither an LV nor a raw or qcow2 file',
  'disk-shared': 'another VM uses the same disk',
  'disk-has-backing-file': 'a qcow2 disk is an overlay of another file',
  'disk-unreadable': 'a disk of the VM cannot be examined',
  'vm-not-running': 'the VM is neither running nor stopped, so it can be neither migrated nor copied',
  'vm-transient': 'the VM has no persistent definition: it cannot be kept while it is moved',
  'vm-has-snapshots': 'libvirt refuses to migrate a VM with its own snapshots',
  'vm-not-migratable': 'libvirt refuses to move a VM with such a part, or would lose the part on the way',
  'vm-name-unsafe': 'the name of the VM cannot stand in a file name',
  'vm-busy': 'another operation works on the VM',
  'no-blade-left': 'every blade was refused',
  'facts-stale': 'what is known of the blade is too old to act on (rule 9)',
} as const

export type ReasonCode = keyof typeof REASON_CODES

export interface Reason {
  readonly code: ReasonCode
  /** One sentence: what is needed, what there is. */
  readonly text: string
  readonly blade?: string
  readonly needed?: number
  readonly available?: number
}
