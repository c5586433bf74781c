import { bootHost } from './boot.ts'
import { fail, heal } from './faults.ts'
import { activeGuests, createGuest, removeGuest, serialLog } from './guest/fleet.ts'
import { bytesToRead, checkRing, type RingReport, readRecord, SECTOR_BYTES } from './guest/record.ts'
import { checkSerial, type SerialReport } from './guest/serial.ts'
import { bladesOf, DEPOT, type Host, hostNamed, hostsOf } from './hosts.ts'
import { imageDir } from './image/build.ts'
import { eraseHost, requireLabRecord } from './place.ts'
import { type PowerAction, power } from './power.ts'
import { cli, cliJson, installAgain } from './product.ts'
import type { RunOptions, RunResult } from './run.ts'
import type { GuestSetting } from './settings.ts'
import { dropConnection, exec, mustExec } from './ssh.ts'
import { cutPower, isPowered } from './uml/uml.ts'
import { waitFor } from './wait.ts'

/** Both witnesses of one guest: what is on its volumes, and what it printed. */
export interface GuestCounters {
  /** The blade it runs on now. */
  blade: string
  /** One report per volume, the boot volume first. */
  volumes: RingReport[]
  serial: SerialReport
}

/** The running lab, for tests. Host names are `blade01` … and `depot`; every call has a time limit. */
export interface Lab {
  readonly blades: readonly string[]
  /** Runs a command on a host; returns its exit code and output, 255 when the host does not answer. */
  exec(host: string, argv: readonly string[], options?: RunOptions): Promise<RunResult>
  /** Like `exec`, but a non-zero exit throws. Returns what it printed. */
  mustExec(host: string, argv: readonly string[], options?: RunOptions): Promise<string>
  /** Runs `lifeboat ARGS…` on the depot. */
  cli(args: readonly string[], timeoutMs?: number): Promise<RunResult>
  /** Parses what `lifeboat ARGS… --output json` prints there. */
  cliJson<T>(args: readonly string[], timeoutMs?: number): Promise<T>
  fail(blade: string, fault: string): Promise<void>
  heal(blade: string, fault: string): Promise<void>
  power(host: string, action: PowerAction): Promise<void>
  /** Kills the agent's main process on a blade; systemd brings it back. */
  killAgent(blade: string): Promise<void>
  killController(): Promise<void>
  /** Polls until `look` returns something, or throws with `what` in the message. */
  waitFor<T>(what: string, look: () => Promise<T | undefined | false>, timeoutMs: number): Promise<T>
  /** Guest → the blades where libvirt has it active. More than one entry is a VM that runs twice. */
  whereGuestsRun(): Promise<Map<string, string[]>>
  /** Disk and serial witnesses of a running guest, read while it runs. */
  guestCounters(guest: string): Promise<GuestCounters>
  /** Makes and starts one more guest on the blade its setting names, or removes such a one from there. */
  createGuest(guest: GuestSetting): Promise<void>
  removeGuest(guest: GuestSetting): Promise<void>
  /**
   * Boots a blade outside the fleet, with new disks and nothing of the product, under the first name the fleet has not
   * got; `power(name, 'cut')` ends it. Returns its name.
   */
  bootSpare(): Promise<string>
  /** Installs the package that the fleet runs on a host. */
  installPackage(host: string): Promise<void>
  /** Lets the blades log in to each other as root, for the comparison with bare `virsh migrate`. */
  trustBladesMutually(): Promise<void>
}

/** Opens the lab that is up; throws when there is none. */
export function openLab(): Lab {
  const record = requireLabRecord()
  const blades = bladesOf(record.blades)
  // One more than the fleet has: the spare.
  const named = (name: string) => hostNamed(name, record.blades + 1)
  const whereGuestsRun = () => findGuests(blades.filter(blade => isPowered(blade.name)))
  return {
    blades: blades.map(blade => blade.name),
    exec: (host, argv, options) => exec(named(host), argv, options),
    mustExec: (host, argv, options) => mustExec(named(host), argv, options),
    cli,
    cliJson,
    fail: (blade, fault) => fail(named(blade), fault),
    heal: (blade, fault) => heal(named(blade), fault),
    power: (host, action) => power(named(host), action),
    killAgent: blade => killUnit(named(blade), 'lifeboat-agent'),
    killController: () => killUnit(DEPOT, 'lifeboat-controller'),
    waitFor,
    whereGuestsRun,
    guestCounters: async guest => {
      const [runsOn, ...others] = (await whereGuestsRun()).get(guest) ?? []
      if (runsOn === undefined || others.length > 0) {
        throw new Error(`${guest} must run on one blade, but runs on ${[runsOn, ...others].join(', ')}`)
      }
      return readCounters(guest, named(runsOn), blades)
    },
    createGuest: guest => createGuest(named(guest.blade), guest),
    removeGuest: guest => removeGuest(named(guest.blade), guest),
    bootSpare: () => bootSpare(record.blades, record.imageKey),
    installPackage: host => installAgain(named(host)),
    trustBladesMutually: () => trustMutually(blades),
  }
}

async function bootSpare(blades: number, imageKey: string): Promise<string> {
  const spare = hostsOf(blades + 1)[blades] as Host
  await cutPower(spare.name)
  await dropConnection(spare)
  eraseHost(spare.name)
  await bootHost(spare, imageDir(imageKey))
  return spare.name
}

/** SIGKILL to the main process of a unit, as a crash would end it. */
export async function killUnit(host: Host, unit: string): Promise<void> {
  await mustExec(host, ['systemctl', 'kill', '--kill-whom=main', '--signal=SIGKILL', `${unit}.service`])
}

async function findGuests(blades: readonly Host[]): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>()
  await Promise.all(
    blades.map(async blade => {
      for (const guest of (await activeGuests(blade)) ?? [])
        found.set(guest, [...(found.get(guest) ?? []), blade.name])
    }),
  )
  return found
}

async function readCounters(guest: string, blade: Host, blades: readonly Host[]): Promise<GuestCounters> {
  const disks = await mustExec(blade, ['virsh', 'domblklist', guest, '--details'], { timeoutMs: 30_000 })
  const paths = disks.split('\n').flatMap(line => /\sdisk\s+\S+\s+(\/\S+)/.exec(line)?.[1] ?? [])
  const volumes: RingReport[] = []
  for (const path of paths) volumes.push(await readRing(blade, path))
  const logs: string[] = []
  for (const host of blades.filter(candidate => isPowered(candidate.name))) {
    const log = await exec(host, ['cat', serialLog(guest)], { timeoutMs: 30_000 })
    if (log.code === 0) logs.push(log.stdout.toString('latin1'))
  }
  return { blade: blade.name, volumes, serial: checkSerial(logs) }
}

/** Reads past the page cache (iflag=direct): QEMU writes with O_DIRECT, and the check is of what is on the disk. */
async function readRing(blade: Host, path: string): Promise<RingReport> {
  const read = async (bytes: number) => {
    const blocks = Math.ceil(bytes / 65_536)
    const argv = ['dd', `if=${path}`, 'bs=64K', `count=${blocks}`, 'iflag=direct', 'status=none']
    const result = await exec(blade, argv, { timeoutMs: 60_000 })
    if (result.code !== 0) throw new Error(`${blade.name}: cannot read ${path}: ${result.stderr}`)
    return result.stdout
  }
  const newest = readRecord((await read(2 * SECTOR_BYTES)).subarray(SECTOR_BYTES, 2 * SECTOR_BYTES))
  return checkRing(await read(bytesToRead(newest?.counter ?? 0)))
}

async function trustMutually(blades: readonly Host[]): Promise<void> {
  const keys: string[] = []
  for (const blade of blades) {
    await mustExec(blade, [
      'sh',
      '-c',
      'test -f /root/.ssh/id_ed25519 || ssh-keygen -q -t ed25519 -N "" -f /root/.ssh/id_ed25519',
    ])
    await mustExec(blade, ['tee', '/root/.ssh/config'], {
      input: 'StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n',
    })
    keys.push(await mustExec(blade, ['cat', '/root/.ssh/id_ed25519.pub']))
  }
  for (const blade of blades)
    await mustExec(blade, ['tee', '-a', '/root/.ssh/authorized_keys'], { input: keys.join('') })
}
