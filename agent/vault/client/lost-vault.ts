import { type ErrorCode, LifeboatError } from '../../../shared/errors.ts'
import { systemWords } from '../../../shared/rpc/system-words.ts'

/** Which vault, as people and its certificate call it, and where it was looked for. */
export interface LostVault {
  readonly name: string
  readonly address: string
}

/** What happened to the connection. */
const LOSSES = {
  silent: ({ name, address }: LostVault) => `vault ${name} does not answer at ${address}`,
  broken: ({ name, address }: LostVault) => `the connection to vault ${name} at ${address} broke`,
  slow: ({ name, address }: LostVault) => `vault ${name} at ${address} gave no answer in time`,
} as const

/**
 * A vault that was lost, for whoever reads it on the blade or at the controller: which one, why, and what to type to see
 * since when. It names no time: the same failure an hour later has the same words, and is one alert. Pure.
 */
export function vaultLost(vault: LostVault, loss: keyof typeof LOSSES, cause?: unknown): LifeboatError {
  const code: ErrorCode = loss === 'slow' ? 'timeout' : 'unavailable'
  // Of a name with several addresses only the code says it.
  const why = systemWords(`${cause} ${(cause as NodeJS.ErrnoException | undefined)?.code}`)
  const message = `${LOSSES[loss](vault)}${why === undefined ? '' : `: ${why}`}; since when: \`lifeboat vault status ${vault.name}\``
  // What is not foreseen hangs below.
  return new LifeboatError(code, message, why === undefined && cause !== undefined ? { cause } : {})
}
