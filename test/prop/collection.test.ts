import assert from 'node:assert/strict'
import { existsSync, readdirSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { chunkPath } from '../../agent/vault/format/chunk.ts'
import { parseIndex } from '../../agent/vault/format/index.ts'
import type { Manifest } from '../../agent/vault/format/manifest.ts'
import { createClaims } from '../../agent/vault/store/claims.ts'
import { createIdFilter } from '../../agent/vault/store/id-filter.ts'
import type { VaultStore } from '../../agent/vault/store/vault-store.ts'
import type { BackupSession, PointSummary, Vault } from '../../agent/vault/vault.ts'
import {
  type BackupOfSeeds,
  beginBackup,
  draftOf,
  FIRST_NIGHT,
  indexOf,
  makeChunk,
  makeVaultDir,
  sendChunks,
  vmId,
} from '../fakes/vault-dir.ts'

const SEED = 20_261_128
console.log(`collection properties: seed ${SEED}`)

const ids = Array.from({ length: 12 }, (_, seed) => makeChunk(seed).id)
const seeds = fc.uniqueArray(fc.nat({ max: ids.length - 1 }), { minLength: 1, maxLength: 5 })
/** Which actor makes its next step; whoever has ended is skipped. */
const schedule = fc.array(fc.nat(), { minLength: 200, maxLength: 200 })

/** What a vault is to collection: chunks there, and restore points that name some. */
interface Model {
  readonly chunks: Set<string>
  readonly points: Map<string, readonly string[]>
  readonly claims: ReturnType<typeof createClaims>
}

/** A backup, cut at every place where another may come between; the order of things is that of session.ts. */
function* backup(model: Model, name: string, needs: readonly string[], ends: 'published' | 'aborted') {
  const { claims, chunks, points } = model
  claims.open(name)
  yield
  const missing: string[] = []
  for (const id of needs) {
    claims.claim(name, [id])
    yield
    if (!chunks.has(id)) missing.push(id)
    yield
  }
  for (const id of missing) {
    chunks.add(id)
    yield
  }
  if (ends === 'published') {
    for (const id of needs) assert.ok(chunks.has(id), `chunk ${id} was taken from under backup ${name}`)
    yield
    points.set(name, needs)
    yield
  }
  claims.close(name)
}

/** The sweep of collect.ts, its filter so small that ids do collide. */
function* sweep({ claims, chunks, points }: Model, window: number) {
  claims.beginSweep()
  yield
  const filter = createIdFilter(window, 5)
  for (const name of [...points.keys()]) {
    for (const id of points.get(name) ?? []) filter.add(Buffer.from(id, 'hex'))
    yield
  }
  for (const id of [...chunks]) {
    if (!filter.has(Buffer.from(id, 'hex')) && !claims.isClaimed(id)) chunks.delete(id)
    yield
  }
  claims.endSweep()
}

function* sweeps(model: Model, windows: readonly number[]) {
  for (const window of windows) yield* sweep(model, window)
}

function* prune({ points }: Model, names: readonly string[]) {
  for (const name of names) {
    points.delete(name)
    yield
  }
}

function requireWhole({ chunks, points }: Model): void {
  for (const [name, needs] of points) {
    for (const id of needs) assert.ok(chunks.has(id), `restore point ${name} lost chunk ${id}`)
  }
}

const backups = fc.array(
  fc.record({ seeds, ends: fc.constantFrom('published' as const, 'published' as const, 'aborted' as const) }),
  { minLength: 1, maxLength: 5 },
)

test('in any interleaving of backups, prunes and sweeps no chunk of a restore point is removed, and all garbage goes', () => {
  fc.assert(
    fc.property(
      backups,
      seeds,
      schedule,
      fc.array(fc.nat({ max: 40 }), { maxLength: 3 }),
      (all, old, turns, windows) => {
        const idsOf = (some: readonly number[]) => some.flatMap(seed => ids[seed] ?? [])
        const model: Model = {
          chunks: new Set(ids.slice(0, 6).concat(idsOf(old))),
          points: new Map([['old', idsOf(old)]]),
          claims: createClaims(),
        }
        const actors: Generator[] = [
          sweeps(model, [0, ...windows]),
          prune(model, ['old', '0', '1']),
          ...all.map((one, index) => backup(model, String(index), idsOf(one.seeds), one.ends)),
        ]
        for (let turn = 0; actors.length > 0; turn++) {
          const index = (turns[turn % turns.length] ?? 0) % actors.length
          if (actors[index]?.next().done === true) actors.splice(index, 1)
          requireWhole(model)
        }
        for (let window = 0; window <= 20; window++) for (const _ of sweep(model, window)) requireWhole(model)
        assert.deepEqual([...model.chunks].sort(), [...new Set([...model.points.values()].flat())].sort())
      },
    ),
    { seed: SEED, numRuns: 2000 },
  )
})

/** One step of a story on the real vault. `sweep` begins a collection that runs on beside the next steps. */
type Step =
  | {
      readonly kind: 'begin' | 'send' | 'publish' | 'abort' | 'prove'
      readonly slot: number
      readonly seeds: readonly number[]
    }
  | {
      readonly kind: 'sweep' | 'await-sweep' | 'prune'
      readonly slot: number
      readonly seeds: readonly number[]
    }

const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.record({
    kind: fc.constantFrom(
      ...([
        'begin',
        'begin',
        'send',
        'send',
        'publish',
        'publish',
        'abort',
        'sweep',
        'sweep',
        'await-sweep',
        'prune',
        'prove',
      ] as const),
    ),
    slot: fc.nat({ max: 2 }),
    seeds,
  }),
  { minLength: 4, maxLength: 24 },
)

const never = new AbortController().signal

test('the real vault keeps every chunk of every restore point through stories of the same kind', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async story => {
      const place = makeVaultDir()
      const store = place.open({ maxSessions: 3 })
      try {
        await play(
          store,
          story,
          () => store,
          () => requireRestorable(store, () => true),
        )
        await requireTidy(store, place.dir)
      } finally {
        await store.close()
        place.remove()
      }
    }),
    { seed: SEED, numRuns: 60 },
  )
})

const LIAR_SLOT = 2
const LIAR = `blade${LIAR_SLOT}`

test('a blade that lies about its chunks spoils no restore point but its own, whoever sends what first and whenever it is proven', async () => {
  let lies = 0
  await fc.assert(
    fc.asyncProperty(steps, async story => {
      const place = makeVaultDir()
      const store = place.open({ maxSessions: 3 })
      const blade = (slot: number) => store.visibleTo(`blade${slot}`, () => false)
      const liar: Vault = {
        ...blade(LIAR_SLOT),
        begin: async request => lyingSession(await blade(LIAR_SLOT).begin(request)),
      }
      try {
        await play(
          store,
          story,
          slot => (slot === LIAR_SLOT ? liar : blade(slot)),
          () => requireRestorable(store, point => point.manifest?.blade !== LIAR),
        )
        await store.prove(never)
        lies += (await store.status()).problems.length
        await requireRestorable(store, point => point.manifest?.blade !== LIAR)
      } finally {
        await store.close()
        place.remove()
      }
    }),
    { seed: SEED, numRuns: 120 },
  )
  assert.ok(lies > 0, 'no lie was ever listed and found: this tests nothing')
})

/** Sends the bytes of another chunk under each name, and takes no refusal amiss. */
function lyingSession(session: BackupSession): BackupSession {
  const lie = makeChunk(666).frame
  return {
    ...session,
    put: async chunks => {
      for (const { id } of chunks) await session.put([{ id, frame: lie }]).catch(() => {})
    },
    publish: async draft => {
      try {
        return await session.publish(draft)
      } catch {
        await session.abort()
        return { ...draft, format: 'lifeboat-restore-point', version: 1, blade: LIAR } as Manifest
      }
    },
  }
}

interface Slot {
  readonly session: BackupSession
  readonly backup: BackupOfSeeds
  sent: boolean
}

async function play(
  store: VaultStore,
  story: readonly Step[],
  vaultOf: (slot: number) => Vault,
  afterEach: () => Promise<void>,
): Promise<void> {
  const slots = new Map<number, Slot>()
  let nights = 0
  let sweeping: Promise<unknown> = Promise.resolve()
  let isSweeping = false
  // Not awaited at once: the steps of several backups run beside each other and beside the sweep.
  let running: Promise<unknown>[] = []
  const settleAll = async () => {
    await Promise.all(running)
    running = []
  }
  for (const { kind, slot, seeds: wanted } of story) {
    const at = slots.get(slot)
    if (kind === 'begin' && at === undefined) {
      const one: BackupOfSeeds = { vm: slot, seeds: wanted, at: FIRST_NIGHT + 60_000 * nights++ }
      slots.set(slot, { backup: one, session: await beginBackup(vaultOf(slot), one), sent: false })
    } else if (kind === 'send' && at !== undefined) {
      running.push(sendChunks(at.session, at.backup.seeds))
      at.sent = true
    } else if (kind === 'publish' && at !== undefined) {
      await settleAll()
      // What was sent once must still be there, whatever was swept since.
      if (!at.sent) await sendChunks(at.session, at.backup.seeds)
      await at.session.publish(draftOf(at.backup))
      slots.delete(slot)
    } else if (kind === 'abort' && at !== undefined) {
      await settleAll()
      await at.session.abort()
      slots.delete(slot)
    } else if (kind === 'sweep' && !isSweeping) {
      isSweeping = true
      sweeping = store.collect({ dryRun: false, signal: never }).finally(() => {
        isSweeping = false
      })
    } else if (kind === 'await-sweep') await sweeping
    else if (kind === 'prove') await store.prove(never)
    else if (kind === 'prune') {
      const policy = { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 }
      await store.prune({ dryRun: false, vmId: vmId(slot), policy })
    }
    await afterEach()
  }
  await settleAll()
  await sweeping
  for (const { session } of slots.values()) await session.abort()
}

async function requireRestorable(
  store: VaultStore,
  isMeant: (point: PointSummary) => boolean,
): Promise<void> {
  for (const point of (await store.points()).filter(isMeant)) {
    assert.equal(point.state, 'whole', point.stateText)
    const report = await store.check(point, { signal: never })
    assert.deepEqual(report.bad, [], `${point.vm}@${point.point}`)
  }
}

/** After a sweep for each window of the filter nothing is left but what restore points name. */
async function requireTidy(store: VaultStore, dir: string): Promise<void> {
  await store.collect({ dryRun: false, signal: never })
  const named = new Set<string>()
  for (const point of await store.points()) {
    const index = parseIndex(await store.index(point, 'vda'))
    for (let position = 0; position < index.count; position++) named.add(index.idAt(position))
  }
  const present = readdirSync(join(dir, 'store'), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.cacnk'))
    .sort()
  assert.deepEqual(present, [...named].map(chunkPath).sort())
  assert.deepEqual(readdirSync(join(dir, 'tmp')), [])
}

test('an index that cannot be read stops collection: it might name anything', async () => {
  const place = makeVaultDir()
  const store = place.open()
  try {
    const one: BackupOfSeeds = { seeds: [1, 2] }
    const session = await beginBackup(store, one)
    await sendChunks(session, [1, 2, 9])
    await session.putIndex('vda', indexOf(one.seeds))
    await session.publish(draftOf(one))
    const [point] = await store.points()
    assert.ok(point)
    truncateSync(join(place.dir, 'points', point.vmId, point.point, 'vda.caibx'), 120)
    const report = await store.collect({ dryRun: false, signal: never })
    assert.match(report.refused, /the index of vda/)
    assert.ok(existsSync(join(place.dir, 'store', chunkPath(makeChunk(9).id))))
    const { problems } = await store.status()
    assert.deepEqual(
      problems.map(({ code }) => code),
      ['index-damaged'],
    )
  } finally {
    await store.close()
    place.remove()
  }
})
