import { isFileMemory } from './step-aside.ts'
import {
  attributes,
  contentOf,
  drop,
  dropAttributes,
  elements,
  keepAttributes,
  keepChildren,
  type Node,
  nameOf,
  setAttribute,
  textOf,
} from './xml-tree.ts'

// What is not named here is not taken over: a definition may hold anything, also what was written to do harm.

/**
 * What a guest sees of its machine. Left out is what is the blade's: pinning and limits, huge pages, labels, options
 * for QEMU by hand, a kernel to boot, what happens with a dump of a crash.
 */
const MACHINE = new Set([
  'name',
  'uuid',
  'genid',
  'memory',
  'currentMemory',
  'maxMemory',
  'vcpu',
  'vcpus',
  'iothreads',
  'iothreadids',
  'sysinfo',
  'os',
  'features',
  'cpu',
  'clock',
  'on_poweroff',
  'on_reboot',
  'devices',
])
const FIRMWARE = ['type', 'firmware', 'loader', 'boot', 'bootmenu', 'bios', 'smbios']
const DISK = [
  ...['driver', 'source', 'backingStore', 'encryption', 'target', 'address', 'boot', 'readonly'],
  ...['blockio', 'geometry', 'serial', 'wwn', 'vendor', 'product'],
]
/** Whether a device may stay, and what must be changed in it first. */
const DEVICES: Readonly<Record<string, (device: Node) => boolean>> = {
  emulator: isUsualEmulator,
  disk: device => {
    keepChildren(device, DISK)
    keepAttributes(device, ['type', 'device', 'model'])
    return true
  },
  controller: () => true,
  hub: () => true,
  iommu: () => true,
  panic: () => true,
  memballoon: () => true,
  memory: device => !isFileMemory(device),
  input: device => ['tablet', 'mouse', 'keyboard'].includes(attributes(device).type ?? ''),
  video: device => {
    // A renderer of the blade's graphics card, or another process of it.
    keepChildren(device, ['model', 'address'])
    for (const model of elements(contentOf(device), 'model')) {
      model.model = []
      dropAttributes(model, ['blob'])
    }
    return true
  },
  rng: device => {
    keepChildren(device, ['address', 'rate'])
    contentOf(device).unshift({ backend: [{ '#text': '/dev/urandom' }], ':@': { model: 'random' } })
    return true
  },
  channel: isAgentChannel,
}

const AGENT_CHANNEL = 'org.qemu.guest_agent.0'
/** Of a loader's path. */
const UEFI = /ovmf|aavmf|edk2|uefi/i
/** Where distributions put QEMU. Any other program is not started; libvirt then takes its own. */
const USUAL_EMULATOR = /^\/usr\/(bin\/qemu-system-[a-z0-9_]+|libexec\/qemu-kvm|bin\/kvm)$/

/** For a look only: no network, nothing of the blade, and a console that can be watched. Pure. */
export function isolate(domain: Node[], devices: Node[], consolePath: string): void {
  const port = serialPort(elements(devices, 'serial')[0], consolePath)
  drop(domain, node => !MACHINE.has(nameOf(node)))
  // Of the other types one is read from files of the blade.
  drop(domain, node => nameOf(node) === 'sysinfo' && attributes(node).type !== 'smbios')
  for (const os of elements(domain, 'os')) ownFirmware(os)
  for (const vcpu of elements(domain, 'vcpu')) keepAttributes(vcpu, ['current'])
  drop(devices, node => DEVICES[nameOf(node)]?.(node) !== true)
  devices.push(port)
}

function serialPort(first: Node | undefined, consolePath: string): Node {
  const port: Node = first ?? { serial: [{ target: [], ':@': { port: '0' } }] }
  keepChildren(port, ['target', 'address'])
  port[':@'] = { type: 'file' }
  contentOf(port).unshift({ source: [], ':@': { path: consolePath, append: 'off' } })
  return port
}

/** UEFI stays UEFI, by the firmware that libvirt finds for the machine: a path could be any file, and be written to. */
function ownFirmware(os: Node): void {
  const loaders = elements(contentOf(os), 'loader')
  const isUefi = (loader: Node) => attributes(loader).type === 'pflash' || UEFI.test(textOf(loader))
  if (attributes(os).firmware === undefined && loaders.some(isUefi)) setAttribute(os, 'firmware', 'efi')
  keepChildren(os, FIRMWARE)
  for (const loader of loaders) {
    loader.loader = []
    keepAttributes(loader, ['secure'])
  }
  drop(contentOf(os), node => nameOf(node) === 'loader' && attributes(node).secure !== 'yes')
}

function isUsualEmulator(device: Node): boolean {
  return USUAL_EMULATOR.test(textOf(device).trim())
}

/** The one of the guest agent, at a place of libvirt's own; others are of a desktop or of a program of the blade. */
function isAgentChannel(channel: Node): boolean {
  if (attributes(elements(contentOf(channel), 'target')[0]).name !== AGENT_CHANNEL) return false
  keepChildren(channel, ['target', 'address'])
  channel[':@'] = { type: 'unix' }
  return true
}
