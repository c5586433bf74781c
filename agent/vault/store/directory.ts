import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { writeDurably } from '../../../shared/durable-file.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { fileError, namesIn, syncDirectory } from './files.ts'
import type { VaultLayout } from './layout.ts'
import { RECIPE } from './recipe.ts'

const FORMAT = 'lifeboat-vault'
/** Raised when an older Lifeboat would spoil what lies there. */
const VERSION = 1
const MARKER = z.object({ format: z.literal(FORMAT), version: z.int() })
/** The backups of every VM: root's, or the vault's own user's, and nobody else's. */
const DIRECTORY_MODE = 0o700

/**
 * Makes an empty or missing directory a vault; a vault stays as it is, but gets the recipe of this version.
 * `refused` for a directory with anything else in it.
 */
export function makeVault(layout: VaultLayout): void {
  try {
    if (!isVault(layout)) {
      mkdirSync(layout.root, { recursive: true, mode: DIRECTORY_MODE })
      const strangers = readdirSync(layout.root).filter(name => name !== 'lost+found')
      if (strangers.length > 0 && !existsSync(markerPath(layout))) {
        throw new LifeboatError(
          'refused',
          `${layout.root} is no vault and not empty ('${strangers[0]}'): give an empty directory`,
        )
      }
    }
    for (const path of [layout.state, layout.tmp, layout.quarantine, layout.store, layout.points]) {
      mkdirSync(path, { recursive: true })
    }
    if (!existsSync(markerPath(layout))) {
      writeDurably(markerPath(layout), `${JSON.stringify({ format: FORMAT, version: VERSION })}\n`, 0o644)
    }
    const readme = join(layout.root, 'README.txt')
    if (!existsSync(readme) || readFileSync(readme, 'utf8') !== RECIPE) writeDurably(readme, RECIPE, 0o644)
    syncDirectory(layout.root)
    syncDirectory(dirname(layout.root))
  } catch (error) {
    if (error instanceof LifeboatError) throw error
    throw fileError(`cannot make a vault of ${layout.root}`, error)
  }
}

/** `not-found` when there is no vault, `version-mismatch` when a newer Lifeboat keeps it. */
export function checkVault(layout: VaultLayout): void {
  if (!isVault(layout)) {
    throw new LifeboatError('not-found', `${layout.root} is no vault: it lacks the folders store and points`)
  }
  // A copy of only store and points is a vault to read from.
  if (!existsSync(markerPath(layout))) return
  const marker = MARKER.safeParse(readJson(markerPath(layout)))
  if (!marker.success) throw new LifeboatError('bad-input', `${markerPath(layout)} cannot be read`)
  if (marker.data.version > VERSION) {
    throw new LifeboatError(
      'version-mismatch',
      `${layout.root} has version ${marker.data.version}, this Lifeboat knows up to ${VERSION}: upgrade it`,
    )
  }
}

/** What sessions of an earlier process left; they wrote into no other place. Needs the lock. */
export function clearTemporary(layout: VaultLayout): void {
  for (const name of namesIn(layout.tmp)) rmSync(join(layout.tmp, name), { recursive: true, force: true })
}

function isVault(layout: VaultLayout): boolean {
  return existsSync(layout.store) && existsSync(layout.points)
}

function markerPath(layout: VaultLayout): string {
  return join(layout.state, 'vault.json')
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
}
