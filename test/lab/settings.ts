/**
 * What a lab is made of and how the product is set up in it. One place, so that a change of a setting's name in the
 * product, or of the fleet a test wants, is a change of one table.
 */

/** Configuration of every agent, written before `lifeboat-agent join`, which keeps an existing file. */
export const AGENT_TOML = `[power]
method = "lanplus"
host = "10.77.1.100"
user = "admin"
password_file = "/etc/lifeboat/bmc.password"
cipher_suite = 3
`

/** A schedule whose next night is far away: stories that want one set their own. */
export const NO_NIGHTS = '0 12 1 1 *'

/** Configuration of the controller, written before `lifeboat-controller init`, which keeps an existing file. */
export const CONTROLLER_TOML = `[evacuation]
hold_s = 5

[backup]
schedule = "${NO_NIGHTS}"
jitter_min = 0

[backup.boot_test]
per_night = 0
`

/** Name of the vault on the depot. */
export const VAULT = 'depot'

/** Content of the agent's password_file, and the account of the simulated chassis controller. */
export const BMC_USER = 'admin'
export const BMC_PASSWORD = 'admin'

/** Power supplies of the one chassis. */
export const POWER_SUPPLIES = 4

/** Where each blade sits, as `lifeboat blade add` is told. */
export function positionOf(blade: string): string[] {
  const slot = String(Number(blade.slice(-2)))
  return ['--chassis', 'chassis1', '--slot', slot].concat([
    '--feed',
    'feedA',
    '--feed',
    'feedB',
    '--switch',
    'swA',
    '--switch',
    'swB',
  ])
}

export interface VolumeSetting {
  /** Name of the logical volume in vg0. */
  name: string
  sizeMiB: number
  thin: boolean
}

export interface GuestSetting {
  /** At most 8 characters: it is part of every record the guest writes. */
  name: string
  blade: string
  memoryMiB: number
  /** The first one boots; a second one is written after it, with the same records. */
  volumes: readonly VolumeSetting[]
}

/** The guests of a fresh lab. Those of a blade the lab has not got are left out. */
export const GUESTS: readonly GuestSetting[] = [
  guest('mail01', 'blade01', [{ name: 'mail01', sizeMiB: 64, thin: false }]),
  guest('web01', 'blade01', [{ name: 'web01', sizeMiB: 64, thin: true }]),
  guest('db01', 'blade01', [
    { name: 'db01', sizeMiB: 64, thin: false },
    { name: 'db01-data', sizeMiB: 32, thin: false },
  ]),
  guest('dns01', 'blade01', [{ name: 'dns01', sizeMiB: 32, thin: false }]),
  guest('wiki01', 'blade02', [{ name: 'wiki01', sizeMiB: 64, thin: false }]),
  guest('print01', 'blade03', [{ name: 'print01', sizeMiB: 64, thin: true }]),
]

function guest(name: string, blade: string, volumes: readonly VolumeSetting[]): GuestSetting {
  return { name, blade, memoryMiB: 32, volumes }
}
