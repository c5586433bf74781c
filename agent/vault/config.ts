import * as z from 'zod'
import { readConfigFile, section } from '../../shared/config.ts'
import { type Cron, isCron, parseCron } from '../../shared/cron.ts'
import { MIB } from '../../shared/domain/units.ts'
import type { LogLevel } from '../../shared/log.ts'

export const DEFAULT_VAULT_CONFIG_PATH = '/etc/lifeboat/vault.toml'
export const DEFAULT_VAULT_DIR = '/var/lib/lifeboat/vault'
export const DEFAULT_VAULT_STATE_DIR = '/var/lib/lifeboat/vault-service'

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
  readonly scrub: {
    /** When a round begins, by the local time of this host. */
    readonly schedule: Cron
    /** Of compressed bytes, per second; 0: as fast as it goes. */
    readonly rateBytes: number
  }
  /** When it drops what the retention no longer keeps, and then the chunks nothing names. */
  readonly cleaning: { readonly schedule: Cron }
  readonly logLevel: LogLevel
}

const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/
const listen = (fallback: string) =>
  z.string().regex(HOST_PORT, `must be host:port, like ${fallback}`).default(fallback)
const directory = (fallback: string) =>
  z.string().startsWith('/', 'must be an absolute path').default(fallback)
const whole = (least: number, most: number, fallback: number) =>
  z.int().min(least).max(most).default(fallback)

const cron = (fallback: string) =>
  z.string().refine(isCron, `must be a schedule of five fields, like ${fallback}`).default(fallback)

const FILE = z
  .strictObject({
    vault: section({
      dir: directory(DEFAULT_VAULT_DIR),
      max_sessions: whole(1, 64, 4),
      reserve_percent: whole(0, 50, 5),
    }),
    listen: section({ control: listen('0.0.0.0:7423'), door: listen('0.0.0.0:7424') }),
    scrub: section({ schedule: cron('0 8 * * 6'), rate_mib: whole(0, 100_000, 50) }),
    cleaning: section({ schedule: cron('0 12 * * *') }),
    state: section({ dir: directory(DEFAULT_VAULT_STATE_DIR) }),
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
    scrub: { schedule: parseCron(file.scrub.schedule), rateBytes: file.scrub.rate_mib * MIB },
    cleaning: { schedule: parseCron(file.cleaning.schedule) },
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
