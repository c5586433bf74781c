import { LabError } from './errors.ts'
import type { Host } from './hosts.ts'
import { plugIn } from './network.ts'
import { say } from './say.ts'
import { dropConnection, exec, mustExec, shareConnection } from './ssh.ts'
import { consoleTail, cutPower, isPowered, startHost } from './uml/uml.ts'
import { HostDied, waitFor } from './wait.ts'

/** A blade alone on a free machine boots in 8 s; four at once on two slow cores have needed a minute. */
const BOOT_LIMIT_MS = 180_000

/** What a person needs first when a host is in trouble. */
const UNITS_TO_SHOW = ['lab-*', 'lifeboat-*', 'libvirtd', 'mdmonitor']

/**
 * Starts a host and waits until it has booted. A kernel that dies or hangs on the way is given one more chance,
 * loudly: a panic at boot is this kernel's fault and not what a test here is about.
 */
export async function bootHost(host: Host, imageDir: string): Promise<void> {
  try {
    await bootOnce(host, imageDir)
  } catch (error) {
    say(`WARNING: ${host.name} did not boot (${(error as Error).message}); trying once more. Its console:`)
    process.stderr.write(`${consoleTail(host.name)}\n`)
    await cutPower(host.name)
    await bootOnce(host, imageDir).catch(cause => {
      process.stderr.write(`${consoleTail(host.name)}\n`)
      throw new LabError(`${host.name} did not boot twice; its console is above`, { cause })
    })
  }
}

/**
 * Waits for a host that is booting until it can be worked with, and shares a connection to it. It does not wait for
 * multi-user.target: a service of the product that starts badly must not look like a blade that does not boot.
 */
export async function waitBooted(host: Host): Promise<void> {
  await waitFor(
    `boot of ${host.name}`,
    async () => {
      if (!isPowered(host.name)) throw new HostDied(host.name)
      return (await exec(host, ['true'], { timeoutMs: 15_000 })).code === 0
    },
    BOOT_LIMIT_MS,
    500,
  )
  await shareConnection(host)
  await mustExec(host, ['sh', '-c', 'mountpoint -q /run/lab-share || mount /run/lab-share'])
  if (host.role === 'blade') await waitStorage(host)
}

/** At first boot storage is made; later ones assemble it, half a minute late when one half of the mirror is gone. */
async function waitStorage(blade: Host): Promise<void> {
  await mustExec(blade, ['systemctl', 'start', 'lab-storage'], { timeoutMs: 120_000 })
  await waitFor(
    `volume group of ${blade.name}`,
    async () => {
      const active = await exec(blade, ['lvs', '--noheadings', '-o', 'lv_active', 'vg0/pool'], {
        timeoutMs: 15_000,
      })
      return active.stdout.toString('utf8').trim() === 'active'
    },
    120_000,
  )
}

/** Console, failed units and the journals of the units that matter, for the end of an error message. */
export async function describeTrouble(host: Host): Promise<string> {
  const parts = [`--- ${host.name}: end of its console ---`, consoleTail(host.name)]
  if (isPowered(host.name)) {
    const units = UNITS_TO_SHOW.flatMap(unit => ['-u', unit])
    for (const argv of [
      ['systemctl', '--failed', '--no-legend', '--plain'],
      ['journalctl', '--no-pager', '-n', '40', '-o', 'short-monotonic', ...units],
    ]) {
      const result = await exec(host, argv, { timeoutMs: 20_000 })
      parts.push(`--- ${host.name}: ${argv.join(' ')} ---`, result.stdout.toString('utf8') + result.stderr)
    }
  }
  return parts.join('\n')
}

async function bootOnce(host: Host, imageDir: string): Promise<void> {
  await plugIn(host)
  await dropConnection(host)
  await startHost(host, imageDir)
  await waitBooted(host)
}
