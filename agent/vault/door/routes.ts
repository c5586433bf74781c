import * as z from 'zod'
import { LifeboatError } from '../../../shared/errors.ts'
import { formatManifest, parseManifest } from '../format/manifest.ts'
import { POINT } from '../format/point.ts'
import type { BackupSession, Vault } from '../vault.ts'
import type { BodyBuffers } from './body.ts'
import {
  BATCH_BYTES,
  MAX_BODY_BYTES,
  MAX_FETCH,
  packChunks,
  packIds,
  unpackChunks,
  unpackIds,
} from './protocol.ts'

/** Sessions of one connection; their number is the vault's to limit. */
export interface SessionTable {
  add(session: BackupSession): string
  /** Throws `not-found`. */
  get(id: string): BackupSession
  /** Listed: it may be published once more, but does not end with the connection. */
  keep(id: string): void
  remove(id: string): void
}

export interface Call {
  /** As the caller may see it. */
  readonly vault: Vault
  readonly sessions: SessionTable
  /** Words of the path behind the route's own. */
  readonly args: readonly string[]
  readonly body: Buffer
  readonly buffers: BodyBuffers
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal
  /** One JSON line of an answer that comes bit by bit. */
  readonly tell: (line: unknown) => void
}

/** JSON, or bytes in pieces; `memory` they lie in is given back when they are sent. */
export type Answer =
  | { readonly json: unknown }
  | { readonly bytes: readonly Buffer[]; readonly memory?: Buffer }
  | { readonly lines: true; readonly last: unknown }

export interface Route {
  readonly maxBytes: number
  /** True: the answer is JSON lines, the last of them the result. */
  readonly lines?: boolean
  readonly handle: (call: Call) => Promise<Answer>
}

/** The last moment that has a name. Epoch ms. */
const MAX_MOMENT = Date.UTC(9999, 11, 31)

const BEGIN = z.object({
  vm: z.object({ id: z.uuid(), name: z.string().min(1).max(255) }),
  point: z.string().regex(POINT),
  nowAt: z.int().min(0).max(MAX_MOMENT),
})
const TARGET = /^[a-z]{2,8}[0-9]{0,3}$/
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** By the first word of the path. */
export const ROUTES: Readonly<Record<string, Route>> = {
  begin: {
    maxBytes: MAX_BODY_BYTES.json,
    handle: async ({ vault, sessions, body }) => {
      const request = read(BEGIN, body)
      return { json: { session: sessions.add(await vault.begin(request)) } }
    },
  },
  missing: {
    maxBytes: MAX_BODY_BYTES.ids,
    handle: async ({ sessions, args, body }) => ({
      bytes: [packIds(await sessions.get(word(args, 0)).missing(unpackIds(body)))],
    }),
  },
  put: {
    maxBytes: MAX_BODY_BYTES.chunks,
    handle: async ({ sessions, args, body }) => {
      await sessions.get(word(args, 0)).put(unpackChunks(body))
      return { json: {} }
    },
  },
  'put-index': {
    maxBytes: MAX_BODY_BYTES.index,
    handle: async ({ sessions, args, body }) => {
      await sessions.get(word(args, 0)).putIndex(targetOf(word(args, 1)), body)
      return { json: {} }
    },
  },
  publish: {
    maxBytes: MAX_BODY_BYTES.json,
    handle: async ({ sessions, args, body }) => {
      const id = word(args, 0)
      const manifest = await sessions.get(id).publish(draftOf(body))
      sessions.keep(id)
      return { json: manifest }
    },
  },
  abort: {
    maxBytes: 0,
    handle: async ({ sessions, args }) => {
      const id = word(args, 0)
      await sessions.get(id).abort()
      sessions.remove(id)
      return { json: {} }
    },
  },
  points: {
    maxBytes: 0,
    handle: async ({ vault, args }) => ({
      json: await vault.points(args[0] === undefined ? undefined : vmIdOf(args[0])),
    }),
  },
  manifest: {
    maxBytes: 0,
    handle: async ({ vault, args }) => ({
      bytes: [Buffer.from(formatManifest(await vault.manifest(refOf(args))))],
    }),
  },
  index: {
    maxBytes: 0,
    handle: async ({ vault, args }) => ({
      bytes: [await vault.index(refOf(args), targetOf(word(args, 2)))],
    }),
  },
  chunks: {
    maxBytes: MAX_BODY_BYTES.ids,
    handle: async ({ vault, args, body, buffers }) => {
      const ids = unpackIds(body)
      if (ids.length > MAX_FETCH) {
        throw new LifeboatError('bad-input', `${ids.length} chunks at once, the most is ${MAX_FETCH}`)
      }
      const memory = buffers.take(BATCH_BYTES)
      return { bytes: packChunks(await vault.chunks(refOf(args), ids, memory)), memory }
    },
  },
  check: {
    maxBytes: 0,
    lines: true,
    handle: async ({ vault, args, signal, tell }) => {
      // Agents before the quick check ask without the word, and vaults before it do not look at it.
      const depth = args[2] === 'quick' ? 'quick' : 'full'
      const report = await vault.check(refOf(args), { signal, depth, onProgress: inSteps(tell) })
      return { lines: true, last: { report } }
    },
  },
}

/** A line for each chunk would cost as much as unpacking it. */
const PROGRESS_STEPS = 200

function inSteps(tell: Call['tell']): (done: number, total: number) => void {
  let toldAt = 0
  return (done, total) => {
    if (done < total && done - toldAt < total / PROGRESS_STEPS) return
    toldAt = done
    tell({ done, total })
  }
}

/** Validated here: what a blade says becomes a file others read. The blade itself is filled in by the vault. */
function draftOf(body: Buffer): Parameters<BackupSession['publish']>[0] {
  const json = parseJson(body) as Record<string, unknown>
  const {
    format: _,
    version: __,
    blade: ___,
    ...draft
  } = parseManifest(formatManifest({ ...json, blade: '' } as Parameters<typeof formatManifest>[0]))
  return draft
}

function refOf(args: readonly string[]) {
  const ref = { vmId: word(args, 0), point: word(args, 1) }
  if (UUID.test(ref.vmId) && POINT.test(ref.point)) return ref
  throw new LifeboatError('not-found', `the vault has no restore point ${ref.point} of VM ${ref.vmId}`)
}

function vmIdOf(text: string): string {
  if (UUID.test(text)) return text
  throw new LifeboatError('not-found', `'${text}' is not the id of a VM`)
}

// All of these become names of files, so they are looked at here already.
function targetOf(text: string): string {
  if (TARGET.test(text)) return text
  throw new LifeboatError('bad-input', 'not the name of a disk')
}

function word(args: readonly string[], position: number): string {
  const text = args[position]
  if (text === undefined) throw new LifeboatError('bad-input', 'the path of the request is too short')
  return text
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new LifeboatError('bad-input', 'the body is no JSON', { cause: error })
  }
}

function read<Schema extends z.ZodType>(schema: Schema, body: Buffer): z.output<Schema> {
  const result = schema.safeParse(parseJson(body))
  if (result.success) return result.data
  const details = result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
  throw new LifeboatError('bad-input', 'the request lacks or mistakes something', { details })
}
