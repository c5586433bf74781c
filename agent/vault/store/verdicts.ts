import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeDurably } from '../../../shared/durable-file.ts'
import type { PointRef } from '../format/point.ts'
import type { BootRecord } from '../vault.ts'
import { fileError } from './files.ts'
import { BOOTED_FILE, CHECKED_FILE, type VaultLayout } from './layout.ts'
import { notListed } from './listing.ts'

const MODE = 0o644

/** All chunks of a restore point were found good at that moment. */
export function recordChecked(layout: VaultLayout, ref: PointRef, at: number): void {
  write(layout, ref, CHECKED_FILE, { at })
}

/** One of its chunks is not good any more: that it was once shall count for nothing, also when nobody remembers why. */
export function forgetChecked(layout: VaultLayout, ref: PointRef): void {
  rmSync(join(layout.point(ref), CHECKED_FILE), { force: true })
}

/** What the newest boot test of a restore point saw. */
export function recordBooted(layout: VaultLayout, ref: PointRef, record: BootRecord): void {
  write(layout, ref, BOOTED_FILE, record)
}

function write(layout: VaultLayout, ref: PointRef, name: string, record: object): void {
  // Dropped meanwhile: writing would make its folder anew, with nothing else in it.
  if (!existsSync(layout.point(ref))) throw notListed(ref)
  const path = join(layout.point(ref), name)
  try {
    writeDurably(path, `${JSON.stringify(record)}\n`, MODE)
  } catch (error) {
    throw fileError(`cannot write ${path}`, error)
  }
}
