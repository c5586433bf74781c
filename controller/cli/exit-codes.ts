import { type ErrorCode, LifeboatError } from '../../shared/errors.ts'

/** Stable; scripts depend on them. Shown in `lifeboat --help`. */
export const EXIT_CODES = {
  done: 0,
  failed: 1,
  usage: 2,
  /**
   * Of all that only plans: `evacuate --plan`, `rebalance --plan`, `what-if`, `simulate`. They refuse nothing, so that 1
   * would say too much; with 0 a script would go on to empty a blade that does not get empty.
   */
  doesNotFit: 2,
  notFound: 3,
  unreachable: 4,
  needsAdmin: 5,
} as const

export const EXIT_CODES_HELP = `Exit codes:
  0  done
  1  refused, or the operation failed and was undone
  2  wrong usage or bad input (nothing on standard output then); of what only plans
     (evacuate --plan, rebalance --plan, what-if, simulate): a VM finds no place
  3  no such blade, VM, vault, restore point, plan, operation or alert
  4  the controller or a vault cannot be reached
  5  the operation ended half way and needs an administrator
  130  Ctrl-C; one that waits for an operation leaves with 0 and says what goes on without it`

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  'bad-input': EXIT_CODES.usage,
  'bad-config': EXIT_CODES.usage,
  'not-found': EXIT_CODES.notFound,
  unavailable: EXIT_CODES.unreachable,
  'needs-admin': EXIT_CODES.needsAdmin,
}

/** By the code of what was thrown; anything unforeseen counts as failed. */
export function exitCodeOf(error: unknown): number {
  return (error instanceof LifeboatError ? BY_CODE[error.code] : undefined) ?? EXIT_CODES.failed
}

/** By the state an operation ended in. */
export function exitCodeOfOperation(state: string): number {
  if (state === 'done') return EXIT_CODES.done
  return state === 'needs-admin' ? EXIT_CODES.needsAdmin : EXIT_CODES.failed
}
