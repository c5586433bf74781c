import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '../../shared/durable-file.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { DEFAULT_VAULT_DIR, DEFAULT_VAULT_STATE_DIR, type VaultConfig } from './config.ts'
import { vaultLayout } from './store/layout.ts'

export const VAULT_UNIT = 'lifeboat-vault'
const USER = 'lifeboat'
const DROP_IN = 'directories.conf'
const UNIT_DIRECTORY = `/etc/systemd/system/${VAULT_UNIT}.service.d`
const TOOL_LIMIT_MS = 10 * 60_000

/**
 * What systemd must know of directories that are not the unit's own: they are writable, and on a disk that is mounted.
 * A vault that starts beside its disk would fill the wrong one. '' when both are the unit's own. Pure.
 */
export function dropInText({ dir, stateDir }: Pick<VaultConfig, 'dir' | 'stateDir'>): string {
  const foreign = [
    ...(dir === DEFAULT_VAULT_DIR ? [] : [dir]),
    ...(stateDir === DEFAULT_VAULT_STATE_DIR ? [] : [stateDir]),
  ].map(path => `"${path}"`)
  if (foreign.length === 0) return ''
  return [
    '# Written by lifeboat-vault join from vault.toml; after a change there: lifeboat-vault join --refresh',
    '[Unit]',
    `RequiresMountsFor=${foreign.join(' ')}`,
    '[Service]',
    `ReadWritePaths=${foreign.join(' ')}`,
    '',
  ].join('\n')
}

/** Writes the drop-in, or takes an old one away. True when something changed. */
export function writeDropIn(config: VaultConfig, directory = UNIT_DIRECTORY): boolean {
  const path = join(directory, DROP_IN)
  const wanted = dropInText(config)
  const present = readDropIn(directory)
  if (wanted === present) return false
  if (wanted === '') rmSync(path)
  else writeDurably(path, wanted, 0o644)
  return true
}

/** Does the unit know the directories of the configuration? */
export function isDropInCurrent(config: VaultConfig, directory = UNIT_DIRECTORY): boolean {
  return dropInText(config) === readDropIn(directory)
}

function readDropIn(directory: string): string {
  const path = join(directory, DROP_IN)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

/**
 * Gives what the service writes to its user: whoever works on the vault by hand does so as root, and must not shut the
 * service out of a folder. Chunks stay as they are: there may be millions, and they are only read or removed.
 * The package makes the user; without it (a trial run, a simulation) the caller stays the owner.
 */
export async function giveToVaultUser(config: VaultConfig, run: CommandRunner): Promise<void> {
  if (process.getuid?.() !== 0) return
  const limits = { timeoutMs: TOOL_LIMIT_MS, okExitCodes: [0, 1] }
  if ((await run.run(['id', '-u', USER], limits)).exitCode !== 0) return
  for (const { path, depth } of ownPaths(config)) {
    if (!existsSync(path)) continue
    await run.run(giveCommand(path, depth), { timeoutMs: TOOL_LIMIT_MS })
  }
}

/**
 * Run by root in folders of the service's user, who may put a link in the place of a folder meanwhile. So chown is given
 * names in the folder where find stands (`-execdir`), never a path that would lead it through that link; `-h` is for the
 * name itself. Pure.
 */
export function giveCommand(path: string, depth: number): string[] {
  const which = ['-maxdepth', String(depth), '!', '-user', USER]
  return ['find', path, ...which, '-execdir', 'chown', '-h', `${USER}:${USER}`, '{}', '+']
}

/** Pure. `store` to its folders only. */
export function ownPaths({ dir, stateDir }: Pick<VaultConfig, 'dir' | 'stateDir'>) {
  const { root, store, points, state, tmp, quarantine } = vaultLayout(dir)
  return [
    { path: stateDir, depth: 9 },
    { path: root, depth: 1 },
    { path: store, depth: 1 },
    ...[points, state, tmp, quarantine].map(path => ({ path, depth: 9 })),
  ]
}
