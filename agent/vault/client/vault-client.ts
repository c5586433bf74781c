import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { Identity } from '../../../shared/rpc/certificates.ts'
import {
  BATCH_BYTES,
  MAX_FETCH,
  MAX_IDS,
  packChunks,
  packIds,
  parseError,
  unpackChunks,
  unpackIds,
} from '../door/protocol.ts'
import { parseManifest } from '../format/manifest.ts'
import type { BackupSession, CheckReport, Chunk, PointSummary, Vault } from '../vault.ts'
import { connectVault, type RequestOptions, type VaultAddress, type VaultConnection } from './connection.ts'

/** A look into a table or a file. */
const ASK_LIMIT_MS = 60_000
/** A body of chunks, over a slow link, written to a slow disk. */
const PUT_LIMIT_MS = 5 * 60_000
/** Gigabytes are made durable and looked for; that the vault lives is known by its pings. */
const LONG_LIMIT_MS = 6 * 3600_000

export interface VaultClientOptions extends VaultAddress {
  /** Asked for each connection: certificates are renewed while the agent runs. */
  readonly identity: () => Identity
  readonly clock: Clock
}

/**
 * A vault over the network. Connects when first asked, and anew after its connection broke; a backup session does not
 * outlive the connection it began on.
 */
export function createVaultClient(options: VaultClientOptions): Vault {
  let current: Promise<VaultConnection> | undefined
  const connection = async (): Promise<VaultConnection> => {
    const standing = await current?.catch(() => undefined)
    if (standing?.isOpen) return standing
    current = connectVault(options, options.identity(), options.clock)
    return await current
  }
  const ask = async (path: string, request: Partial<RequestOptions> = {}): Promise<Buffer> =>
    await (await connection()).request(path, { limitMs: ASK_LIMIT_MS, ...request })

  return {
    begin: async request => {
      const standing = await connection()
      const answer = await standing.request('begin', { body: [json(request)], limitMs: ASK_LIMIT_MS })
      return createSession(standing, String(parse<{ session: unknown }>(answer).session))
    },
    points: async vmId =>
      parse<readonly PointSummary[]>(await ask(vmId === undefined ? 'points' : pathOf('points', vmId))).map(
        point => ({
          ...point,
          // What is undefined is not in JSON.
          manifest: point.manifest,
          boot: point.boot,
        }),
      ),
    manifest: async ref =>
      parseManifest((await ask(pathOf('manifest', ref.vmId, ref.point))).toString('utf8')),
    index: async (ref, target) =>
      await ask(pathOf('index', ref.vmId, ref.point, target), { limitMs: PUT_LIMIT_MS }),
    chunks: async (ref, ids, memory) => {
      const path = pathOf('chunks', ref.vmId, ref.point)
      const chunks: Chunk[] = []
      for (const part of parts(ids, MAX_FETCH)) {
        // Only the first answer: the next would lie over it.
        const place = memory === undefined || chunks.length > 0 ? {} : { memory }
        const answer = await ask(path, { body: [packIds(part)], limitMs: PUT_LIMIT_MS, ...place })
        chunks.push(...unpackChunks(answer))
      }
      return chunks
    },
    check: async (ref, { signal, depth = 'full', onProgress }) => {
      let last: CheckLine = {}
      const onLine = (text: string): void => {
        last = JSON.parse(text) as CheckLine
        if (last.total !== undefined) onProgress?.(last.done ?? 0, last.total)
      }
      const words = ['check', ref.vmId, ref.point, ...(depth === 'full' ? [] : [depth])]
      await ask(pathOf(...words), { limitMs: LONG_LIMIT_MS, signal, onLine })
      if (last.report === undefined) throw parseError(last.error)
      return last.report
    },
    close: async () => {
      const standing = await current?.catch(() => undefined)
      standing?.close()
    },
  }
}

interface CheckLine {
  readonly done?: number
  readonly total?: number
  readonly report?: CheckReport
  readonly error?: unknown
}

function createSession(connection: VaultConnection, id: string): BackupSession {
  let isOver = false
  return {
    missing: async ids => {
      const missing: string[] = []
      // Without ids too: a sign of life.
      for (const part of ids.length === 0 ? [ids] : parts(ids, MAX_IDS)) {
        const answer = await connection.request(`missing/${id}`, {
          body: [packIds(part)],
          limitMs: ASK_LIMIT_MS,
        })
        missing.push(...unpackIds(answer))
      }
      return missing
    },
    put: async chunks => {
      for (const batch of batches(chunks)) {
        await connection.request(`put/${id}`, { body: packChunks(batch), limitMs: PUT_LIMIT_MS })
      }
    },
    putIndex: async (target, bytes) => {
      await connection.request(pathOf('put-index', id, target), { body: [bytes], limitMs: PUT_LIMIT_MS })
    },
    publish: async manifest => {
      const answer = await connection.request(`publish/${id}`, {
        body: [json(manifest)],
        limitMs: LONG_LIMIT_MS,
      })
      return parseManifest(answer.toString('utf8'))
    },
    abort: async () => {
      // The vault aborts it by itself when the connection is gone.
      if (isOver || !connection.isOpen) return
      isOver = true
      try {
        await connection.request(`abort/${id}`, { limitMs: ASK_LIMIT_MS })
      } catch (error) {
        if (connection.isOpen) throw error
      }
    },
  }
}

function pathOf(...words: readonly string[]): string {
  return words.map(encodeURIComponent).join('/')
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function parse<Value>(bytes: Buffer): Value {
  try {
    return JSON.parse(bytes.toString('utf8')) as Value
  } catch (error) {
    throw new LifeboatError('version-mismatch', 'the vault answered what is no JSON', { cause: error })
  }
}

function* parts<Item>(items: readonly Item[], size: number): Generator<readonly Item[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}

function* batches(chunks: readonly Chunk[]): Generator<readonly Chunk[]> {
  let batch: Chunk[] = []
  let bytes = 0
  for (const chunk of chunks) {
    if (batch.length > 0 && bytes + chunk.frame.length > BATCH_BYTES) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(chunk)
    bytes += chunk.frame.length
  }
  if (batch.length > 0) yield batch
}
