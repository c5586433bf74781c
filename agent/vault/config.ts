import * as z from 'zod'
import { readConfigFile, section } from '../../shared/config.ts'
import { MIB } from '../../shared/domain/units.ts'
import type { LogLevel } from '../../shared/log.ts'

export const DEFAULT_VAULT_CONFIG_PATH = '/etc/lifeboat/vault.toml'
export const DEFAULT_VAULT_DIR = '/var/lib/lifeboat/vault'
const DEFAULT_STATE_DIR = '/var/lib/lifeboat/vault-service'

/** Once every so many days, at that full hour of this host's local time. */
export interface Recurrence {
  readonly everyDays: number
  readonly hour: number
}

/** Everything the vault may be told, checked and complete. */
export interface VaultConfig {
  /** Restore points and chunks: what is copied to keep the backups, and nothing else. */
  readonly dir: string
  /** Identity and grants: not below `dir`, so that a copy of the backups holds no key. */
  readonly stateDir: string
  /** host:port for the controller; port 0 picks a free one. */
  readonly controlListen: string
  /** host:port for agents. */
  readonly doorListen: string
  /** Backups coming in at once. */
  readonly maxSessions: number
  /** New backups are refused when less of the file system than this is free; pruning and restoring go on. */
  readonly reservePercent: number
  readonly scrub: Recurrence & {
    /** Of compressed bytes, per second; 0: as fast as it goes. */
    readonly rateBytes: number
  }
  /** Drops what the retention no longer keeps, then the chunks nothing names. */
  readonly cleaning: Recurrence
  readonly logLevel: LogLevel
}

const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/
const listen = (fallback: string) =>
  z.string().regex(HOST_PORT, `must be host:port, like ${fallback}`).default(fallback)
const directory = (fallback: string) =>
  z.string().startsWith('/', 'must be an absolute path').default(fallback)
const whole = (least: number, most: number, fallback: number) =>
  z.int().min(least).max(most).default(fallback)

const FILE = z
  .strictObject({
    vault: section({
      dir: directory(DEFAULT_VAULT_DIR),
      max_sessions: whole(1, 64, 4),
      reserve_percent: whole(0, 50, 5),
    }),
    listen: section({ control: listen('0.0.0.0:7423'), door: listen('0.0.0.0:7424') }),
    scrub: section({
      every_days: whole(1, 365, 7),
      hour: whole(0, 23, 9),
      rate_mib: whole(0, 100_000, 50),
    }),
    cleaning: section({ hour: whole(0, 23, 12) }),
    state: section({ dir: directory(DEFAULT_STATE_DIR) }),
    log: section({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }),
  })
  .refine(file => !`${file.state.dir}/`.startsWith(`${file.vault.dir}/`), {
    path: ['state', 'dir'],
    message: 'must not lie below vault.dir: a copy of the backups would hold the key of this host',
  })

const CONFIG = FILE.transform(
  (file): VaultConfig => ({
    dir: file.vault.dir,
    stateDir: file.state.dir,
    controlListen: file.listen.control,
    doorListen: file.listen.door,
    maxSessions: file.vault.max_sessions,
    reservePercent: file.vault.reserve_percent,
    scrub: {
      everyDays: file.scrub.every_days,
      hour: file.scrub.hour,
      rateBytes: file.scrub.rate_mib * MIB,
    },
    cleaning: { everyDays: 1, hour: file.cleaning.hour },
    logLevel: file.log.level,
  }),
)

/** Reads the file; a missing one is all defaults. Throws `bad-config` with every problem. */
export function readVaultConfig(path: string): VaultConfig {
  return readConfigFile(path, CONFIG, 'empty')
}

/** All defaults, for tests and the simulation to start from. */
export function defaultVaultConfig(): VaultConfig {
  return CONFIG.parse({})
}
