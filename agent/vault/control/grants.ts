import { readFileSync } from 'node:fs'
import * as z from 'zod'
import type { Clock } from '../../../shared/clock.ts'
import { writeDurably } from '../../../shared/durable-file.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { PointRef } from '../format/point.ts'

/** Leave for one blade to read one restore point that another one wrote, for as long as a restore may take. */
export interface Grant extends PointRef {
  readonly blade: string
  /** The controller's operation it was given for. */
  readonly operation: string
  /** By the clock of this host. Epoch ms. */
  readonly expiresAt: number
}

const GRANTS = z.array(
  z.object({
    vmId: z.string(),
    point: z.string(),
    blade: z.string(),
    operation: z.string(),
    expiresAt: z.number(),
  }),
)

/** The grants that hold; they outlive a restart, since the restore they are for does too. */
export interface GrantBook {
  /** On disk when it returns. The same blade and restore point again: the later end counts. Throws `bad-input`, `unavailable`. */
  add(grant: Grant): void
  holds(blade: string, ref: PointRef): boolean
  /** Which blade has leave to read it, and until when, in words; empty: none. */
  grantOf(ref: PointRef): string
}

/**
 * Reads the file at `path`; a missing one is no grants. So is a damaged one: the controller grants anew when it repeats
 * its step, and a vault that does not start for that would take no backups.
 */
export function openGrantBook(path: string, clock: Clock, onDamaged: (error: unknown) => void): GrantBook {
  let grants = readGrants(path, onDamaged)
  return {
    add(grant) {
      const now = clock.now()
      if (grant.blade === '') throw new LifeboatError('bad-input', 'a grant names a blade')
      if (grant.expiresAt <= now) {
        throw new LifeboatError(
          'bad-input',
          `the grant for ${grant.blade} would be over already: the clock of this vault or of the controller is wrong`,
        )
      }
      const same = grants.find(other => isSame(other, grant.blade, grant))
      const expiresAt = Math.max(grant.expiresAt, same?.expiresAt ?? 0)
      const next = [
        ...grants.filter(other => other.expiresAt > now && other !== same),
        { ...grant, expiresAt },
      ]
      try {
        writeDurably(path, `${JSON.stringify(next)}\n`, 0o600, 0o700)
      } catch (error) {
        throw new LifeboatError('unavailable', `cannot write ${path}`, { cause: error })
      }
      grants = next
    },
    holds: (blade, ref) => {
      const now = clock.now()
      return grants.some(grant => grant.expiresAt > now && isSame(grant, blade, ref))
    },
    grantOf: ref => {
      const now = clock.now()
      const grant = grants.find(each => each.expiresAt > now && isSame(each, each.blade, ref))
      if (grant === undefined) return ''
      return `granted to ${grant.blade} until ${new Date(grant.expiresAt).toISOString().slice(0, 16)}Z`
    },
  }
}

function isSame(grant: Grant, blade: string, { vmId, point }: PointRef): boolean {
  return grant.blade === blade && grant.vmId === vmId && grant.point === point
}

function readGrants(path: string, onDamaged: (error: unknown) => void): readonly Grant[] {
  try {
    return GRANTS.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onDamaged(error)
    return []
  }
}
