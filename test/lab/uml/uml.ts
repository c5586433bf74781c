import { spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join, relative } from 'node:path'
import { type Host, macOf, NAMESPACE, tapName } from '../hosts.ts'
import { HOSTS_DIR, LAB_DIR, RUN_DIR } from '../place.ts'
import { must } from '../run.ts'
import { killProcess, liveProcess, recordProcess } from './process-record.ts'

/** Each of the two disks under a blade's mirror. */
const DISK_SIZE = '1G'

export interface UmlStart {
  name: string
  /** Which CPU it is pinned to, modulo the number of CPUs. */
  cpuIndex: number
  memoryMiB: number
  /** Folder with the kernel and its libraries. */
  umlRoot: string
  /** Kernel arguments that differ: disks, NICs, what the image reads from /proc/cmdline. */
  args: readonly string[]
}

/** Starts a User-Mode Linux kernel detached from this process; its console goes to the host's console.log. */
export function startUml(start: UmlStart): void {
  const folder = join(HOSTS_DIR, start.name)
  mkdirSync(folder, { recursive: true })
  // The kernel makes its uml_dir in there, one level and no more; without it, it panics.
  mkdirSync(RUN_DIR, { recursive: true })
  const log = openSync(consoleLog(start.name), 'a')
  const kernelArgs = [
    `mem=${start.memoryMiB}M`,
    ...['root=/dev/ubda', 'rw', 'quiet', 'seccomp=on'],
    // 7.2 kernels corrupt memory through io_uring here (users: libuv, QEMU): without this, dead within minutes.
    'sysctl.kernel.io_uring_disabled=2',
    ...['con=null', 'ssl=null', 'con0=null,fd:1'],
    ...[
      `umid=${start.name}`,
      'uml_dir=/lab/run/uml/',
      `systemd.hostname=${start.name}`,
      'systemd.ssh_auto=no',
      'selinux=0',
    ],
    ...start.args,
  ]
  const boot = join(import.meta.dirname, 'uml-boot.sh')
  // A kernel that wanders between CPUs pays ten times the price per system call: one CPU each.
  const cpu = String(start.cpuIndex % cpus().length)
  const argv = ['-c', cpu, 'ip', 'netns', 'exec', NAMESPACE, boot, LAB_DIR, start.umlRoot, ...kernelArgs]
  const child = spawn('taskset', argv, { detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  recordProcess(start.name, child.pid)
  child.unref()
}

/** Starts a host of the lab from its own disks, making them when it has none yet. */
export async function startHost(host: Host, imageDir: string): Promise<void> {
  const folder = join(HOSTS_DIR, host.name)
  mkdirSync(folder, { recursive: true })
  const inUml = (path: string) => join('/lab', relative(LAB_DIR, path))
  const args = [
    `ubda=${inUml(join(folder, 'root.cow'))},${inUml(join(imageDir, 'base.img'))}`,
    ...(['a', 'b', 'o'] as const).map(
      (plug, i) => `vec${i}:transport=tap,ifname=${tapName(host, plug)},mac=${macOf(host, plug)}`,
    ),
    `lab_number=${host.number}`,
  ]
  if (host.role === 'blade') {
    for (const [unit, disk] of [
      ['ubdb', 'disk0'],
      ['ubdc', 'disk1'],
    ] as const) {
      const path = join(folder, disk)
      if (!existsSync(path)) await must(['truncate', '-s', DISK_SIZE, path])
      args.push(`${unit}=${inUml(path)}`)
    }
  }
  const { name, memoryMiB } = host
  startUml({ name, memoryMiB, cpuIndex: cpuOf(host), umlRoot: join(imageDir, 'uml'), args })
}

/**
 * blade01 has most of the guests and is the one that is emptied: it shares its CPU with nobody but the depot, which does
 * little. The other blades share what is left.
 */
function cpuOf(host: Host): number {
  if (host.role === 'depot' || host.number === 1) return 0
  return 1 + ((host.number - 2) % Math.max(1, cpus().length - 1))
}

/** Power loss: the kernel's process is killed. What it had handed to its disk files stays. */
export function cutPower(host: string): Promise<boolean> {
  return killProcess(host)
}

/** Whether the host's kernel is running (it may still be booting). */
export function isPowered(host: string): boolean {
  return liveProcess(host) !== undefined
}

/** Where a host's console is written. */
export function consoleLog(host: string): string {
  return join(HOSTS_DIR, host, 'console.log')
}

/** The last lines of a host's console. */
export function consoleTail(host: string, lines = 30): string {
  const path = consoleLog(host)
  return existsSync(path)
    ? readFileSync(path, 'utf8').trim().split('\n').slice(-lines).join('\n')
    : '(no console log)'
}
