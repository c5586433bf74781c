/** Every code an error of ours may carry, with its meaning. shared/rpc/status.ts maps each to a gRPC status. */
export const ERROR_CODES = {
  'bad-input': 'the caller gave something that cannot be right',
  'bad-config': 'a configuration file does not pass its checks',
  'not-found': 'no thing of that name',
  'already-exists': 'a thing of that name is there',
  'not-allowed': 'the caller may not do that',
  'not-authenticated': 'no valid certificate or token',
  refused: 'a rule forbids it; the reasons say which',
  stale: 'an order older than what was already done (rule 1)',
  busy: 'another operation works on the same thing',
  unavailable: 'a service or blade cannot be reached',
  timeout: 'a time limit passed',
  aborted: 'stopped on request',
  'command-failed': 'a tool ended with an error',
  'tool-missing': 'a needed program is not installed',
  'bad-tool-output': 'a tool printed something that cannot be read',
  'version-mismatch': 'controller and agent do not speak the same protocol',
  'needs-admin': 'half done and cannot go on by itself',
  internal: 'a defect of Lifeboat',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

/**
 * The one error class. The message states only its own layer; what lies below hangs off `cause`.
 * `details` are the problems when there are several, one line each.
 */
export class LifeboatError extends Error {
  override readonly name = 'LifeboatError'
  readonly code: ErrorCode
  readonly details: readonly string[]

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: readonly string[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? []
  }
}

/** Worth trying again without a change: the other side may come back. */
export function isRetryable(error: unknown): boolean {
  return error instanceof LifeboatError && (error.code === 'unavailable' || error.code === 'timeout')
}

/** Code of any thrown value; what is not ours is `internal`. */
export function errorCode(error: unknown): ErrorCode {
  return error instanceof LifeboatError ? error.code : 'internal'
}

/** `failed to snapshot vg0/web01: lvcreate exited with 5: insufficient free space`: the chain in one line. */
export function formatErrorChain(error: unknown): string {
  const parts: string[] = []
  let current: unknown = error
  while (current !== undefined && current !== null && parts.length < 8) {
    if (!(current instanceof Error)) {
      parts.push(String(current))
      break
    }
    const details =
      current instanceof LifeboatError && current.details.length > 0 ? ` (${current.details.join('; ')})` : ''
    parts.push(`${current.message}${details}`)
    current = current.cause
  }
  return parts.join(': ')
}
