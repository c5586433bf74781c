import { cpSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from './errors.ts'
import { DEPOT, type Host } from './hosts.ts'
import { SHARE_DIR } from './place.ts'
import { must } from './run.ts'
import { AGENT_TOML, BMC_PASSWORD, CONTROLLER_TOML, GUESTS, positionOf, VAULT } from './settings.ts'
import { exec, mustExec } from './ssh.ts'
import { waitFor } from './wait.ts'

const PROJECT = join(import.meta.dirname, '../..')

/** Builds the Debian package and returns its path. */
export async function buildPackage(): Promise<string> {
  await must(['npm', 'run', '--silent', 'package'], { cwd: PROJECT, timeoutMs: 480_000 })
  const folder = join(PROJECT, 'dist')
  const made = readdirSync(folder)
    .filter(name => /^lifeboat_.*_amd64\.deb$/.test(name))
    .map(name => join(folder, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0]
  if (made === undefined) throw new LabError('npm run package left no dist/lifeboat_*_amd64.deb')
  return made
}

/** Installs the package on hosts, all at once. The file comes in by hostfs: the NICs carry 16 MB/s at best. */
export async function installPackage(hosts: readonly Host[], deb: string): Promise<void> {
  mkdirSync(SHARE_DIR, { recursive: true })
  cpSync(deb, join(SHARE_DIR, 'lifeboat.deb'))
  await Promise.all(hosts.map(installAgain))
}

/** Installs on a host what was last installed on the fleet. */
export async function installAgain(host: Host): Promise<void> {
  const dpkg = ['env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', '--force-confold', '--install']
  await mustExec(host, [...dpkg, '/run/lab-share/lifeboat.deb'], { timeoutMs: 300_000 })
}

/** Sets the controller up on the depot; a second time it is left as it is. */
export async function startController(): Promise<void> {
  await writeFile(DEPOT, '/etc/lifeboat/controller.toml', CONTROLLER_TOML)
  await mustExec(DEPOT, ['lifeboat-controller', 'init', '--address', DEPOT.address], { timeoutMs: 120_000 })
  await waitFor(
    'answer of the controller',
    async () => (await cli(['blade', 'list', '--output', 'json'])).code === 0,
    60_000,
    500,
  )
}

/** Enrols a blade and starts its agent, unless the controller knows it already. */
export async function enrol(blade: Host): Promise<void> {
  const known = await cliJson<{ name: string }[]>(['blade', 'list'])
  if (known.some(entry => entry.name === blade.name)) return
  await writeFile(blade, '/etc/lifeboat/bmc.password', `${BMC_PASSWORD}\n`, '0600')
  await writeFile(blade, '/etc/lifeboat/agent.toml', AGENT_TOML)
  const added = await cliJson<{ token: string }>(['blade', 'add', blade.name, ...positionOf(blade.name)])
  const join = ['lifeboat-agent', 'join', '--controller', DEPOT.address, '--token', added.token]
  await mustExec(blade, join, { timeoutMs: 120_000 })
}

/** Makes the depot the fleet's vault too; a second time it is left as it is. */
export async function enrolVault(): Promise<void> {
  const known = await cliJson<{ name: string }[]>(['vault', 'list'])
  if (known.some(entry => entry.name === VAULT)) return
  const added = await cliJson<{ token: string }>(['vault', 'add', VAULT, '--address', DEPOT.address])
  const join = ['lifeboat-vault', 'join', '--controller', DEPOT.address, added.token]
  await mustExec(DEPOT, join, { timeoutMs: 120_000 })
  await waitFor(
    'a vault the controller can reach',
    async () =>
      (await cliJson<{ name: string; reachable: boolean }[]>(['vault', 'list'])).some(
        vault => vault.name === VAULT && vault.reachable,
      ),
    90_000,
    1_000,
  )
}

/** Waits until the controller sees every blade up and healthy and every guest running. */
export async function waitFleetHealthy(blades: readonly Host[], timeoutMs = 120_000): Promise<void> {
  const guests = GUESTS.filter(guest => blades.some(blade => blade.name === guest.blade))
  await waitFor(
    'a healthy fleet in the eyes of the controller',
    async () => {
      const seen = await cliJson<{ name: string; liveness: string; health: string }[]>(['blade', 'list'])
      const vms = await cliJson<{ name: string; state: string }[]>(['vm', 'list'])
      const notWell = seen.filter(blade => blade.liveness !== 'up' || blade.health !== 'healthy')
      const notRunning = guests.filter(
        guest => !vms.some(vm => vm.name === guest.name && vm.state === 'running'),
      )
      if (seen.length === blades.length && notWell.length === 0 && notRunning.length === 0) return true
      const words = notWell.map(blade => `${blade.name} is ${blade.liveness}, ${blade.health}`)
      throw new LabError(
        [
          `${seen.length} of ${blades.length} blades known`,
          ...words,
          ...notRunning.map(g => `${g.name} does not run`),
        ].join('; '),
      )
    },
    timeoutMs,
    1_000,
  )
}

/** Runs `lifeboat ARGS…` on the depot. */
export function cli(args: readonly string[], timeoutMs = 60_000) {
  return exec(DEPOT, ['lifeboat', ...args], { timeoutMs })
}

/** The JSON that `lifeboat ARGS… --output json` prints. */
export async function cliJson<T>(args: readonly string[], timeoutMs = 60_000): Promise<T> {
  const text = await mustExec(DEPOT, ['lifeboat', ...args, '--output', 'json'], { timeoutMs })
  try {
    return JSON.parse(text) as T
  } catch (cause) {
    throw new LabError(`lifeboat ${args.join(' ')} printed no JSON: ${text.slice(0, 200)}`, { cause })
  }
}

async function writeFile(host: Host, path: string, content: string, mode = '0644'): Promise<void> {
  await mustExec(host, ['install', '-D', '-m', mode, '/dev/stdin', path], { input: content })
}
