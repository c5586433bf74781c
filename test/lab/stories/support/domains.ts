import type { Lab } from '../../lab.ts'

/** What an administrator writes when he makes a VM by hand: the disks and devices of it are given as XML. */
export function domainXml(name: string, devices: readonly string[], memoryMiB = 32): string {
  return `<domain type='qemu'>
  <name>${name}</name>
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <cpu mode='custom'><model>qemu64</model></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    ${devices.join('\n    ')}
    <serial type='file'><source path='/var/log/lab/${name}.serial' append='on'/><target port='0'/></serial>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
`
}

/** A disk that is an image file. It has its boot order: the BIOS gives a drive number only to disks with one. */
export function fileDisk(path: string, format: 'raw' | 'qcow2'): string {
  return `<disk type='file' device='disk'>
      <driver name='qemu' type='${format}' cache='none' io='threads'/>
      <source file='${path}'/><target dev='vda' bus='virtio'/><boot order='1'/>
    </disk>`
}

/** A CD-ROM drive with an image of the blade in it. */
export function hostCdrom(path: string): string {
  return `<disk type='file' device='cdrom'><source file='${path}'/><target dev='hda' bus='ide'/><readonly/></disk>`
}

/** A PCI device of the blade. The VM need not be able to start: that it cannot move is seen while it is off. */
export function passedThroughDevice(): string {
  return `<hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x03' slot='0x00' function='0x0'/></source></hostdev>`
}

/** Defines a domain on a blade by virsh, behind Lifeboat's back. */
export async function define(lab: Lab, blade: string, name: string, xml: string): Promise<void> {
  const file = `/root/${name}.xml`
  await lab.mustExec(blade, ['tee', file], { input: xml })
  await lab.mustExec(blade, ['virsh', '-q', 'define', file])
}

/** Ends a domain if it runs and removes its definition; one that is not there is no error. */
export async function undefine(lab: Lab, blade: string, name: string): Promise<void> {
  await lab.exec(blade, ['virsh', '-q', 'destroy', name])
  await lab.exec(blade, ['virsh', '-q', 'undefine', name])
}
