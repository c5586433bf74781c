import { type ErrorCode, LifeboatError } from '../../../shared/errors.ts'

/** Stable; scripts depend on them. The same as those of lifeboat(1). */
export const EXIT_CODES = { done: 0, failed: 1, usage: 2, notFound: 3, unreachable: 4 } as const

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  refused or failed; what was begun was taken back
  2  wrong usage or bad input
  3  no such vault, VM, restore point, disk or file
  4  a disk or file cannot be read or written`

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  'bad-input': EXIT_CODES.usage,
  'bad-config': EXIT_CODES.usage,
  'not-found': EXIT_CODES.notFound,
  unavailable: EXIT_CODES.unreachable,
}

/** By the code of what was thrown; anything unforeseen counts as failed. */
export function exitCodeOf(error: unknown): number {
  return (error instanceof LifeboatError ? BY_CODE[error.code] : undefined) ?? EXIT_CODES.failed
}
