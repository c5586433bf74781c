import { BACKUP_MODES, type BackupMode } from '../../shared/domain/backup.ts'
import { formatDuration } from '../../shared/domain/units.ts'
import type { BackupConfig, Keep } from './settings.ts'

/** How one VM is backed up, and why so. */
export interface EffectivePolicy {
  readonly mode: BackupMode
  readonly schedule: string
  readonly keep: Keep
  /** Empty: there is none to back up to. */
  readonly vault: string
  /** Where each value comes from and what it means, one sentence each. */
  readonly explanation: readonly string[]
}

export interface PolicySources {
  readonly vm: string
  readonly tags: Readonly<Record<string, string>>
  readonly config: BackupConfig
  /** Names of the vaults that have joined. */
  readonly vaults: readonly string[]
}

const TAG = 'backup'

/** The tag before the VM's own section, that before the defaults. Pure. */
export function effectivePolicy({ vm, tags, config, vaults }: PolicySources): EffectivePolicy {
  const own = config.vms.find(each => each.name === vm)
  const tag = readMode(tags[TAG])
  const mode = tag ?? own?.mode ?? config.mode
  const schedule = own?.schedule ?? config.schedule
  const keep = { ...config.keep, ...own?.keep }
  const vault = chooseVault(config.vault, vaults)
  const modeFrom = tag !== undefined ? `the tag ${TAG}=${tag}` : origin(own?.mode !== undefined, vm)
  return {
    mode,
    schedule,
    keep,
    vault: vault.name,
    explanation: [
      `mode ${mode}, by ${modeFrom}: ${BACKUP_MODES[mode]}`,
      ...(mode === 'off' ? [] : standsFor(mode, config)),
      `schedule ${schedule}, by ${origin(own?.schedule !== undefined, vm)}: by the clock of its blade, ${spread(config)}`,
      `kept: ${keepText(keep)}, by ${origin(Object.keys(own?.keep ?? {}).length > 0, vm)}; the newest verified restore point is never dropped`,
      vault.text,
      `overdue when its newest restore point is older than ${formatDuration(config.overdueMs)}`,
    ],
  }
}

/** Undefined for a word that is no mode: the API lets none in, an older database may hold one. */
function readMode(text: string | undefined): BackupMode | undefined {
  return text !== undefined && Object.hasOwn(BACKUP_MODES, text) ? (text as BackupMode) : undefined
}

/** The vault of the configuration, or the only one there is. */
export function chooseVault(
  configured: string,
  joined: readonly string[],
): { readonly name: string; readonly text: string } {
  if (configured !== '') {
    if (joined.includes(configured)) return { name: configured, text: `to the vault ${configured}` }
    return {
      name: '',
      text: `no backups: the vault ${configured} of the configuration has not joined; \`lifeboat vault add ${configured} --address HOST\` makes its token`,
    }
  }
  const [only, ...others] = joined
  if (only === undefined) {
    return {
      name: '',
      text: 'no backups: no vault has joined; `lifeboat vault add NAME --address HOST` makes a token for one',
    }
  }
  if (others.length === 0) return { name: only, text: `to the vault ${only}, the only one` }
  return {
    name: '',
    text: `no backups: there are ${joined.length} vaults (${joined.join(', ')}), and [backup] vault of controller.toml names none`,
  }
}

/** `last 3, daily 7, weekly 4, monthly 6`; those of 0 are left out. */
function keepText(keep: Keep): string {
  return Object.entries(keep)
    .filter(([, count]) => count > 0)
    .map(([period, count]) => `${period} ${count}`)
    .join(', ')
}

function origin(isOwn: boolean, vm: string): string {
  return isOwn ? `[[backup.vm]] of ${vm}` : '[backup] of controller.toml'
}

function standsFor(mode: BackupMode, config: BackupConfig): string[] {
  if (mode === 'crash') return []
  return [
    `it runs again after ${formatDuration(config.pauseBudgetMs)} at most, whatever happens; then the backup fails, not the VM`,
  ]
}

function spread({ jitterMs }: BackupConfig): string {
  return jitterMs === 0
    ? 'at that minute'
    : `at a moment of its own within the ${formatDuration(jitterMs)} after it`
}
