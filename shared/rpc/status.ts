import { Metadata, type ServiceError, type StatusObject, status } from '@grpc/grpc-js'
import { ERROR_CODES, type ErrorCode, formatErrorChain, LifeboatError } from '../errors.ts'

/** One row per code of ours. The way back does not need it: the code itself travels in the trailing metadata. */
const STATUS_OF: Record<ErrorCode, status> = {
  'bad-input': status.INVALID_ARGUMENT,
  'bad-config': status.FAILED_PRECONDITION,
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'not-allowed': status.PERMISSION_DENIED,
  'not-authenticated': status.UNAUTHENTICATED,
  refused: status.FAILED_PRECONDITION,
  stale: status.FAILED_PRECONDITION,
  busy: status.ABORTED,
  unavailable: status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  aborted: status.CANCELLED,
  'command-failed': status.INTERNAL,
  'tool-missing': status.FAILED_PRECONDITION,
  'bad-tool-output': status.INTERNAL,
  'version-mismatch': status.FAILED_PRECONDITION,
  'needs-admin': status.FAILED_PRECONDITION,
  internal: status.INTERNAL,
}

/** For a status that did not come from our own server code: grpc-js itself, or another program. */
const CODE_OF: Partial<Record<status, ErrorCode>> = {
  [status.CANCELLED]: 'aborted',
  [status.INVALID_ARGUMENT]: 'bad-input',
  [status.DEADLINE_EXCEEDED]: 'timeout',
  [status.NOT_FOUND]: 'not-found',
  [status.ALREADY_EXISTS]: 'already-exists',
  [status.PERMISSION_DENIED]: 'not-allowed',
  [status.UNAUTHENTICATED]: 'not-authenticated',
  [status.UNAVAILABLE]: 'unavailable',
  // The other side does not know the method: it is an older or newer Lifeboat.
  [status.UNIMPLEMENTED]: 'version-mismatch',
}

const CODE_KEY = 'lifeboat-code'
// '-bin' because gRPC allows only ASCII in plain metadata, and VM names are not.
const DETAIL_KEY = 'lifeboat-detail-bin'
/** HTTP/2 peers refuse large headers (16 KiB by default); more than these few lines nobody reads anyway. */
const MAX_DETAILS = 40
const MAX_DETAIL_LENGTH = 1000
const MAX_DETAILS_LENGTH = 8000
const MAX_MESSAGE_LENGTH = 2000

/** What goes onto the wire for any thrown value. The chain of causes becomes one line: the cause stays behind. */
export function toStatus(error: unknown): Partial<StatusObject> & { code: status; details: string } {
  const metadata = new Metadata()
  const ours = error instanceof LifeboatError ? error : undefined
  const code = ours?.code ?? 'internal'
  metadata.set(CODE_KEY, code)
  let room = MAX_DETAILS_LENGTH
  for (const detail of (ours?.details ?? []).slice(0, MAX_DETAILS)) {
    const text = Buffer.from(cut(detail, MAX_DETAIL_LENGTH), 'utf8')
    room -= text.length
    if (room < 0) break
    metadata.add(DETAIL_KEY, text)
  }
  return { code: STATUS_OF[code], details: cut(messageWithCauses(error), MAX_MESSAGE_LENGTH), metadata }
}

/** The details travel apart, so only the causes are folded into the message. */
function messageWithCauses(error: unknown): string {
  if (!(error instanceof Error) || error.cause === undefined) {
    return error instanceof Error ? error.message : String(error)
  }
  return `${error.message}: ${formatErrorChain(error.cause)}`
}

/** Back into the error that was thrown at the other side; `unavailable` when there was no other side. */
export function fromStatus(error: ServiceError): LifeboatError {
  const told = error.metadata?.get(CODE_KEY)[0]
  if (typeof told === 'string' && Object.hasOwn(ERROR_CODES, told)) {
    const details = error.metadata.get(DETAIL_KEY).map(value => value.toString())
    return new LifeboatError(told as ErrorCode, error.details, { details })
  }
  const code = CODE_OF[error.code] ?? 'internal'
  return new LifeboatError(code, foreignMessage(code, error), { cause: error })
}

function foreignMessage(code: ErrorCode, error: ServiceError): string {
  if (code === 'unavailable') return 'the other side cannot be reached'
  if (code === 'timeout') return 'no answer within the time limit'
  if (code === 'version-mismatch') return 'the other side does not know this request: its version differs'
  return `the request failed with ${status[error.code]}`
}

function cut(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`
}
