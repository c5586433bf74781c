import { connectBmc, disconnectBmc, setSupply } from './bmc.ts'
import { LabError } from './errors.ts'
import type { Host } from './hosts.ts'
import { setCutOff } from './network.ts'
import { exec, mustExec } from './ssh.ts'
import { waitFor } from './wait.ts'

const MIRROR = '/dev/md0'
/** The half of the mirror that fails; the other one carries the data. */
const LEG = '/dev/mapper/leg1'

interface Fault {
  meaning: string
  fail(blade: Host): Promise<unknown>
  heal(blade: Host): Promise<unknown>
}

const FAULTS: Record<string, Fault> = {
  mirror: {
    meaning: 'one half of md0 is failed by mdadm',
    fail: blade => mustExec(blade, ['mdadm', '--fail', MIRROR, LEG]),
    heal: healMirror,
  },
  'disk-errors': {
    meaning: 'every access to one disk of md0 is an I/O error, until md throws it out',
    fail: failDisk,
    heal: healMirror,
  },
  'nic-a': nicFault(0, 'swA'),
  'nic-b': nicFault(1, 'swB'),
  network: {
    meaning: 'nothing gets through between the host and both switches, and nobody is told',
    fail: host => setCutOff(host, true),
    heal: host => setCutOff(host, false),
  },
  'psu-N': {
    meaning: 'power supply N (1-4) of the chassis has failed; it is no blade’s own, BLADE is not looked at',
    fail: async () => {},
    heal: async () => {},
  },
  bmc: {
    meaning: 'the chassis BMC does not answer: the power supplies are unreadable, from every blade',
    fail: disconnectBmc,
    heal: connectBmc,
  },
}

/** Name and meaning of every fault, for the help text. */
export const FAULT_MEANINGS: readonly (readonly [string, string])[] = Object.entries(FAULTS).map(
  ([name, fault]) => [name, fault.meaning] as const,
)

/** Breaks a part of a blade (or of its chassis) and returns when the fault is there to be seen. */
export async function fail(blade: Host, name: string): Promise<void> {
  await faultNamed(name).fail(blade)
}

/** Mends what `fail` broke and returns when it is whole, a resync included. Healing what is whole is no error. */
export async function heal(blade: Host, name: string): Promise<void> {
  await faultNamed(name).heal(blade)
}

function faultNamed(name: string): Fault {
  const supply = /^psu-(\d+)$/.exec(name)?.[1]
  if (supply !== undefined) {
    return {
      meaning: '',
      fail: async () => setSupply(Number(supply), 'failed'),
      heal: async () => setSupply(Number(supply), 'ok'),
    }
  }
  const fault = name === 'psu-N' ? undefined : FAULTS[name]
  if (fault === undefined) throw new LabError(`no fault ${name}; there are ${Object.keys(FAULTS).join(', ')}`)
  return fault
}

function nicFault(index: 0 | 1, switchName: string): Fault {
  const set = (blade: Host, state: 'up' | 'down') =>
    mustExec(blade, ['ip', '-n', 'phy', 'link', 'set', `p${index}`, state])
  return {
    meaning: `eth${index} loses its carrier from ${switchName}`,
    fail: blade => set(blade, 'down'),
    heal: blade => set(blade, 'up'),
  }
}

/** md throws a disk out at the first write it fails, so an idle blade gets one: a tag set on the VG and removed. */
async function failDisk(blade: Host): Promise<void> {
  await mustExec(blade, ['lab-leg', 'fail', '1'])
  await waitFor(
    `md to throw the failing disk of ${blade.name} out`,
    async () => {
      if ((await readLegState(blade)).includes('faulty')) return true
      await exec(blade, ['vgchange', '-q', '--addtag', 'lab', 'vg0'])
      await exec(blade, ['vgchange', '-q', '--deltag', 'lab', 'vg0'])
      return false
    },
    30_000,
    500,
  )
}

/** Makes the disk whole, takes it out of the array if it is still in there as faulty, puts it back and waits. */
async function healMirror(blade: Host): Promise<void> {
  await mustExec(blade, ['lab-leg', 'heal', '1'])
  if (!(await readLegState(blade)).includes('in_sync')) {
    await exec(blade, ['mdadm', '--manage', MIRROR, '--remove', LEG])
    // By its bitmap in half a second; a disk that does not belong any more is added anew and fully copied.
    if ((await exec(blade, ['mdadm', '--manage', MIRROR, '--re-add', LEG])).code !== 0) {
      await mustExec(blade, ['mdadm', '--manage', MIRROR, '--add', LEG])
    }
  }
  await waitFor(
    `resync of the mirror of ${blade.name}`,
    async () => (await mustExec(blade, ['cat', '/sys/block/md0/md/degraded'])).trim() === '0',
    120_000,
  )
}

/** md's own words for the leg (`in_sync`, `faulty,write_error`, …), or nothing when it is not in the array. */
async function readLegState(blade: Host): Promise<string> {
  const script = `name=$(basename "$(readlink -f ${LEG})"); cat "/sys/block/md0/md/dev-$name/state" 2>/dev/null || true`
  return mustExec(blade, ['sh', '-c', script])
}
