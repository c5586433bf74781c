import * as z from 'zod'
import { parseBladeName } from '../domain/ids.ts'
import { LifeboatError } from '../errors.ts'

const PREFIX = 'lifeboat1.'

const CONTENT = z.object({
  /** Name of the blade, or of the vault. */
  blade: z.string(),
  /** Absent: blade. A token typed into the wrong program is refused before its secret is used up. */
  role: z.enum(['blade', 'vault']).optional(),
  secret: z.string().min(1),
  /** SHA-256 of the controller's authority, hex: how a blade knows the right one before it has any certificate. */
  authority: z.string().regex(/^[0-9a-f]{64}$/),
  expiresAt: z.number(),
})

/** What `lifeboat blade add` and `lifeboat vault add` hand out, and `join` on that host trades for a certificate. */
export type JoinToken = Readonly<z.output<typeof CONTENT>>

/** `lifeboat1.` and the content: one word that can be pasted. */
export function formatJoinToken(token: JoinToken): string {
  return `${PREFIX}${Buffer.from(JSON.stringify(token)).toString('base64url')}`
}

/** Throws `bad-input`; the token itself is never part of the message. */
export function parseJoinToken(text: string): JoinToken {
  const problem = `this is not a join token: copy it whole, it begins with ${PREFIX}`
  if (!text.startsWith(PREFIX)) throw new LifeboatError('bad-input', problem)
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(text.slice(PREFIX.length), 'base64url').toString('utf8'))
  } catch {
    // Without the cause: a parser's message would quote the secret.
    throw new LifeboatError('bad-input', problem)
  }
  const result = CONTENT.safeParse(json)
  if (!result.success) throw new LifeboatError('bad-input', problem)
  parseBladeName(result.data.blade)
  return result.data
}
