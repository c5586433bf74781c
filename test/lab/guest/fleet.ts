import type { Host } from '../hosts.ts'
import { GUESTS, type GuestSetting } from '../settings.ts'
import { exec, mustExec } from '../ssh.ts'

const VOLUME_GROUP = 'vg0'

/** Where a guest's serial line goes on whichever blade it runs. */
export function serialLog(guest: string): string {
  return `/var/log/lab/${guest}.serial`
}

/** Makes the guests that belong on a blade; what is there already is left as it is. Returns the names of the new ones. */
export async function createGuests(blade: Host): Promise<string[]> {
  const known = await definedGuests(blade)
  const wanted = GUESTS.filter(guest => guest.blade === blade.name && !known.includes(guest.name))
  for (const guest of wanted) await createGuest(blade, guest)
  return wanted.map(guest => guest.name)
}

/** Makes the volumes of a guest, defines it by virsh as an administrator would, and starts it. */
export async function createGuest(blade: Host, guest: GuestSetting): Promise<void> {
  for (const { name, sizeMiB, thin } of guest.volumes) {
    const kind = thin ? ['-V', `${sizeMiB}M`, '-T', `${VOLUME_GROUP}/pool`] : ['-W', 'y', '-L', `${sizeMiB}M`]
    const argv = ['lvcreate', '-qy', ...kind, '-n', name]
    await mustExec(blade, thin ? argv : [...argv, VOLUME_GROUP], { timeoutMs: 60_000 })
  }
  await mustExec(blade, ['lab-guest', guest.name, devicePath(guest, 0)])
  const file = `/root/${guest.name}.xml`
  await mustExec(blade, ['tee', file], { input: guestXml(guest) })
  await mustExec(blade, ['virsh', '-q', 'define', file], { timeoutMs: 60_000 })
  await mustExec(blade, ['virsh', '-q', 'start', guest.name], { timeoutMs: 90_000 })
}

/** Ends a guest and removes its definition and its volumes from the blade. */
export async function removeGuest(blade: Host, guest: GuestSetting): Promise<void> {
  await exec(blade, ['virsh', '-q', 'destroy', guest.name], { timeoutMs: 60_000 }) // fails when it is off already
  await mustExec(blade, ['virsh', '-q', 'undefine', guest.name], { timeoutMs: 60_000 })
  for (const index of guest.volumes.keys())
    await mustExec(blade, ['lvremove', '-qy', devicePath(guest, index)])
}

/** Starts what is defined on a blade and does not run: after the lab was brought down. */
export async function startGuests(blade: Host): Promise<string[]> {
  const idle = (await virshNames(blade, ['--inactive'])).filter(name =>
    GUESTS.some(guest => guest.name === name),
  )
  for (const name of idle) await mustExec(blade, ['virsh', '-q', 'start', name], { timeoutMs: 90_000 })
  return idle
}

/** Guests that libvirt knows on a blade, running or not. */
export function definedGuests(blade: Host): Promise<string[]> {
  return virshNames(blade, ['--all'])
}

/** Guests that are active (running or paused) on a blade; undefined when the blade does not answer. */
export async function activeGuests(blade: Host): Promise<string[] | undefined> {
  const result = await exec(blade, ['virsh', 'list', '--name'], { timeoutMs: 30_000 })
  return result.code === 0 ? namesIn(result.stdout.toString('utf8')) : undefined
}

/**
 * The domain as an administrator would write it: no metadata, no network, disks by their path. Each disk has its boot
 * order, because the BIOS gives a drive number only to disks that have one, and the guest writes through the BIOS.
 */
export function guestXml(guest: GuestSetting): string {
  const disks = guest.volumes.map(
    (_, i) => `    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='threads'/>
      <source dev='${devicePath(guest, i)}'/>
      <target dev='vd${'abcd'[i]}' bus='virtio'/>
      <boot order='${i + 1}'/>
    </disk>`,
  )
  return `<domain type='qemu'>
  <name>${guest.name}</name>
  <memory unit='MiB'>${guest.memoryMiB}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
${disks.join('\n')}
    <serial type='file'><source path='${serialLog(guest.name)}' append='on'/><target port='0'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
`
}

function devicePath(guest: GuestSetting, index: number): string {
  return `/dev/${VOLUME_GROUP}/${guest.volumes[index]?.name}`
}

async function virshNames(blade: Host, which: string[]): Promise<string[]> {
  return namesIn(await mustExec(blade, ['virsh', 'list', '--name', ...which], { timeoutMs: 60_000 }))
}

function namesIn(text: string): string[] {
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(Boolean)
}
