import { LifeboatError } from '../../shared/errors.ts'
import type { PointRef } from '../vault/format/point.ts'
import type { ProgressOptions, Vault } from '../vault/vault.ts'

/** Of a check that finds much: more nobody reads. */
const TOLD_PROBLEMS = 20

/**
 * Before anything of a restore is made: every chunk of the point is there and good. The quick check will do: what is
 * restored is read back and hashed before anybody uses it. Throws `refused` with what is damaged, and what `Vault.check`
 * throws.
 */
export async function requireWhole(
  vault: Pick<Vault, 'check'>,
  ref: PointRef,
  options: ProgressOptions,
): Promise<void> {
  const { bad, problems, chunks } = await vault.check(ref, { ...options, depth: 'quick' })
  if (bad.length === 0 && problems.length === 0) return
  const details = [...problems, ...bad.map(id => `chunk ${id} is missing or damaged`)]
  const more = details.length - TOLD_PROBLEMS
  throw new LifeboatError(
    'refused',
    `restore point ${ref.point} is damaged: ${bad.length} of ${chunks} chunks; nothing was touched: choose another restore point`,
    { details: more > 0 ? [...details.slice(0, TOLD_PROBLEMS), `and ${more} more`] : details },
  )
}
