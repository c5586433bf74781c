import { LifeboatError } from '../../shared/errors.ts'
import type { HostFiles } from '../health/host-files.ts'

/** What the synthetic host has, as the probes can see it. Changed by the controls of the blade. */
export interface SimHardware {
  /** Slot order. `errors` is the corrected-read counter of the array. */
  mirror: { device: string; state: 'in_sync' | 'faulty' | 'spare' | 'removed'; errors: number }[]
  /** While a member is `spare`: how far the rebuild is. */
  rebuiltPercent: number
  /** Order of the bond; link false: no carrier. */
  nics: { name: string; link: boolean; speedMbps: number }[]
  /** Reads of /sys/block/md0 fail: the array cannot be examined. */
  mirrorUnreadable: boolean
  /** The BMC of this blade does not answer; those of its neighbours do. */
  bmcSilent: boolean
}

/** Two mirror halves and two bonded NICs, all well. */
export function soundHardware(): SimHardware {
  return {
    mirror: [
      { device: 'sda2', state: 'in_sync', errors: 0 },
      { device: 'sdb2', state: 'in_sync', errors: 0 },
    ],
    rebuiltPercent: 0,
    nics: [
      { name: 'eth0', link: true, speedMbps: 10_000 },
      { name: 'eth1', link: true, speedMbps: 10_000 },
    ],
    mirrorUnreadable: false,
    bmcSilent: false,
  }
}

const MIRROR_SECTORS = 2_093_056

/** /sys/block/md0 as kernel 6.x shows a raid1 (pure). */
function mirrorTree(hardware: SimHardware): Map<string, string> {
  const tree = new Map<string, string>()
  const md = '/sys/block/md0/md'
  const rebuilding = hardware.mirror.some(member => member.state === 'spare')
  const inSync = hardware.mirror.filter(member => member.state === 'in_sync').length
  tree.set(`${md}/level`, 'raid1')
  tree.set(`${md}/raid_disks`, String(hardware.mirror.length))
  tree.set(`${md}/degraded`, String(hardware.mirror.length - inSync))
  tree.set(`${md}/array_state`, 'clean')
  tree.set(`${md}/sync_action`, rebuilding ? 'recover' : 'idle')
  const doneSectors = Math.floor((MIRROR_SECTORS * hardware.rebuiltPercent) / 100)
  tree.set(`${md}/sync_completed`, rebuilding ? `${doneSectors} / ${MIRROR_SECTORS}` : 'none')
  tree.set(`${md}/mismatch_cnt`, '0')
  tree.set(`${md}/metadata_version`, '1.2')
  hardware.mirror.forEach((member, slot) => {
    if (member.state === 'removed') return
    const directory = `${md}/dev-${member.device}`
    tree.set(`${directory}/state`, member.state)
    tree.set(`${directory}/errors`, String(member.errors))
    // A faulty member is thrown out of its slot and stays listed until somebody removes it.
    tree.set(`${directory}/slot`, member.state === 'faulty' ? 'none' : String(slot))
    if (member.state !== 'faulty') {
      for (const name of ['state', 'errors', 'slot']) {
        tree.set(`${md}/rd${slot}/${name}`, tree.get(`${directory}/${name}`) ?? '')
      }
    }
  })
  return tree
}

/** /sys/class/net of an active-backup bond over the NICs, and a bridge (pure). */
function networkTree(hardware: SimHardware): Map<string, string> {
  const tree = new Map<string, string>()
  const net = '/sys/class/net'
  const active = hardware.nics.find(nic => nic.link)
  tree.set(`${net}/bond0/bonding/mode`, 'active-backup 1')
  tree.set(`${net}/bond0/bonding/slaves`, hardware.nics.map(nic => nic.name).join(' '))
  tree.set(`${net}/bond0/bonding/active_slave`, active?.name ?? '')
  tree.set(`${net}/bond0/bonding/mii_status`, active === undefined ? 'down' : 'up')
  tree.set(`${net}/bond0/bonding/miimon`, '100')
  tree.set(`${net}/bond0/operstate`, active === undefined ? 'down' : 'up')
  tree.set(`${net}/bond0/carrier`, active === undefined ? '0' : '1')
  for (const nic of hardware.nics) {
    tree.set(`${net}/${nic.name}/operstate`, nic.link ? 'up' : 'down')
    tree.set(`${net}/${nic.name}/carrier`, nic.link ? '1' : '0')
    tree.set(`${net}/${nic.name}/speed`, nic.link ? String(nic.speedMbps) : '-1')
    tree.set(`${net}/${nic.name}/bonding_slave/mii_status`, nic.link ? 'up' : 'down')
    tree.set(`${net}/${nic.name}/bonding_slave/state`, nic === active ? 'active' : 'backup')
    tree.set(`${net}/${nic.name}/bonding_slave/link_failure_count`, nic.link ? '0' : '1')
  }
  tree.set(`${net}/br0/bridge/stp_state`, '0')
  tree.set(`${net}/br0/operstate`, 'up')
  return tree
}

/** HostFiles over the hardware as it stands at each read. The real probes read it like a kernel's own files. */
export function createSimHostFiles(hardware: SimHardware): HostFiles {
  const tree = () => new Map([...mirrorTree(hardware), ...networkTree(hardware)])
  const refuseUnreadable = (path: string) => {
    if (hardware.mirrorUnreadable && path.startsWith('/sys/block/md0/md')) {
      throw new LifeboatError('unavailable', `cannot read ${path}: input/output error`)
    }
  }
  return {
    async read(path) {
      refuseUnreadable(path)
      const text = tree().get(path)
      if (text === undefined) throw new LifeboatError('not-found', `no file ${path}`)
      return `${text}\n`
    },
    async list(path) {
      refuseUnreadable(path)
      const prefix = path.endsWith('/') ? path : `${path}/`
      const names = new Set<string>()
      for (const file of tree().keys()) {
        if (file.startsWith(prefix)) names.add(file.slice(prefix.length).split('/', 1)[0] ?? '')
      }
      return [...names].sort()
    },
  }
}
