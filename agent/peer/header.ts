import * as z from 'zod'
import { ERROR_CODES, type ErrorCode, LifeboatError } from '../../shared/errors.ts'

/**
 * The talk between two agents on the peer port: one JSON line asks, one JSON line answers, then raw bytes if the
 * channel has any. Only added to: blades of a fleet are upgraded one by one.
 */
export const PEER_CHANNELS = {
  control: "bytes: the hypervisor's own protocol",
  memory: 'bytes: RAM and device state',
  disk: 'bytes: storage copy',
  copy: 'frames: one volume of a VM that is off',
  begin: 'message: an attempt starts; drop what an earlier one left',
  definition: 'text: the definition of a VM that is off',
  released: 'message: the VM is off at the source; run it',
  state: 'message: what is the VM with you?',
} as const
export type PeerChannel = keyof typeof PEER_CHANNELS

/** A line is read before anything is known of who sends it. */
export const MAX_LINE_BYTES = 8 * 1024
/** The line must follow the handshake quickly: whoever connects and says nothing holds a socket. */
export const HEADER_LIMIT_MS = 10_000

const headerSchema = z.object({
  channel: z.enum(Object.keys(PEER_CHANNELS) as [PeerChannel, ...PeerChannel[]]),
  moveId: z.string().min(1).max(200),
  vmId: z.string().max(100),
  /** copy: which volume. */
  path: z.string().max(4096).optional(),
  /** begin, definition: does the source start the VM at boot? */
  autostart: z.boolean().optional(),
  /** released: how long ago the source let go, by the source's clock; no two clocks are compared. */
  sinceMs: z.number().nonnegative().optional(),
})
export type PeerHeader = z.output<typeof headerSchema>

const answerSchema = z.object({
  ok: z.boolean(),
  code: z.string().optional(),
  message: z.string().optional(),
  /** state: of the VM at the target, and of the move. */
  state: z.string().optional(),
  move: z.string().optional(),
  /** released: from the source letting go to the VM running. */
  handoverMs: z.number().optional(),
  /** copy: bytes of data made durable. */
  bytes: z.number().optional(),
})
export type PeerAnswer = z.output<typeof answerSchema>

/** Throws `bad-input`. */
export function parseHeader(line: string): PeerHeader {
  return parseLine(line, headerSchema, 'request')
}

/** Throws `bad-input` for what is no answer, and the error the other side reports. */
export function parseAnswer(line: string): PeerAnswer {
  const answer = parseLine(line, answerSchema, 'answer')
  if (answer.ok) return answer
  const code =
    answer.code !== undefined && answer.code in ERROR_CODES ? (answer.code as ErrorCode) : 'internal'
  throw new LifeboatError(code, answer.message ?? 'refused without a reason')
}

/** One line, newline included. */
export function formatLine(value: PeerHeader | PeerAnswer): string {
  return `${JSON.stringify(value)}\n`
}

function parseLine<S extends z.ZodType>(line: string, schema: S, what: string): z.output<S> {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch (error) {
    throw new LifeboatError('bad-input', `a peer ${what} is not JSON`, { cause: error })
  }
  const result = schema.safeParse(json)
  if (!result.success) {
    const details = result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
    throw new LifeboatError('bad-input', `a peer ${what} cannot be read`, { details })
  }
  return result.data
}
