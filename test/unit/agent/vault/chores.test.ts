import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { type Chores, isDue, isScrubDue, startChores } from '../../../../agent/vault/chores.ts'
import type { ScrubState } from '../../../../agent/vault/store/records.ts'
import type { StoreStatus } from '../../../../agent/vault/store/vault-store.ts'
import { parseCron } from '../../../../shared/cron.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createManualClock, type ManualClock } from '../../../fakes/manual-clock.ts'

const MINUTE = 60_000
const at = (text: string) => new Date(text).getTime()
const NOON = parseCron('0 12 * * *')
const SATURDAY = parseCron('0 8 * * 6')
const NEVER: ScrubState = { startedAt: 0, endedAt: 0, next: '0000', doneChunks: 0, points: [] }

test('a task is due once after its hour, also when that hour was missed', () => {
  assert.equal(isDue(NOON, 0, at('2026-11-28T08:00')), true, 'never done')
  assert.equal(isDue(NOON, at('2026-11-27T12:00'), at('2026-11-28T11:59')), false)
  assert.equal(isDue(NOON, at('2026-11-27T12:00'), at('2026-11-28T12:00:01')), true)
  assert.equal(isDue(NOON, at('2026-11-28T12:00:01'), at('2026-11-28T23:00')), false)
  assert.equal(isDue(NOON, at('2026-11-20T12:00'), at('2026-11-28T08:00')), true, 'the host was off')
})

test('what a clock that was a year ahead wrote down counts as never', () => {
  const now = at('2026-11-28T08:00')
  assert.equal(isDue(NOON, at('2027-11-28T12:00'), now), true)
  assert.equal(isDue(NOON, now + MINUTE, now), false, 'set back by a minute')
  const ended = { ...NEVER, startedAt: at('2027-11-20T08:00'), endedAt: at('2027-11-20T09:00') }
  assert.equal(isScrubDue(ended, 0, SATURDAY, now), true)
})

test('a scrub that a restart cut off goes on; one that a person stopped waits for its day', () => {
  const cutOff = { ...NEVER, startedAt: at('2026-11-28T08:00') }
  const now = at('2026-11-28T10:00')
  assert.equal(isScrubDue(cutOff, 0, SATURDAY, now), true)
  assert.equal(isScrubDue(cutOff, at('2026-11-28T09:00'), SATURDAY, now), false)
  assert.equal(isScrubDue(cutOff, at('2026-11-28T09:00'), SATURDAY, at('2026-12-05T08:00')), true)
  const ended = { ...cutOff, endedAt: at('2026-11-28T09:00') }
  assert.equal(isScrubDue(ended, 0, SATURDAY, now), false)
})

/** A store that only remembers what it was asked; a scrub lasts until it is stopped or let go. */
function fakeStore(clock: ManualClock) {
  let scrub = NEVER
  let collectedAt = 0
  let refused = ''
  let unproven = 0
  let sessions = 0
  const done: string[] = []
  let finish = () => {}
  return {
    done,
    finishScrub: () => finish(),
    receive: (chunks: number, openSessions: number) => {
      unproven = chunks
      sessions = openSessions
    },
    refuse: (why: string) => {
      refused = why
    },
    store: {
      status: async () => ({ scrub, collectedAt, unproven, sessions }) as StoreStatus,
      prune: async () => {
        done.push('prune')
        return []
      },
      collect: async () => {
        done.push('collect')
        if (refused === '') collectedAt = clock.now()
        return { chunks: 0, bytes: 0, keptChunks: 0, refused }
      },
      prove: async () => {
        done.push('prove')
        unproven = 0
        return { chunks: 0, bad: [], finished: true }
      },
      scrub: async ({ signal }: { signal: AbortSignal }) => {
        done.push('scrub')
        scrub = { ...NEVER, startedAt: clock.now() }
        const finished = await new Promise<boolean>(resolve => {
          finish = () => resolve(true)
          signal.addEventListener('abort', () => resolve(false))
        })
        if (finished) scrub = { ...scrub, endedAt: clock.now() }
        return { finished, chunks: 0, bad: [] }
      },
    },
  }
}

let clock: ManualClock
let fake: ReturnType<typeof fakeStore>
let chores: Chores
const start = () =>
  startChores({
    store: fake.store,
    scrub: { schedule: SATURDAY, rateBytes: 0 },
    cleaning: { schedule: NOON },
    clock,
    log: silentLogger,
  })

// A Friday.
beforeEach(async () => {
  clock = createManualClock(at('2026-11-27T13:00'))
  fake = fakeStore(clock)
  chores = start()
  await clock.advance(MINUTE)
  fake.finishScrub()
  await clock.advance(MINUTE)
})
afterEach(() => chores.close())

test('a vault cleans first and collects after, each day once; it scrubs each week once', async () => {
  assert.deepEqual(fake.done.toSorted(), ['collect', 'prune', 'scrub'], 'what was never done is done first')
  fake.done.length = 0
  await clock.advance(22 * 60 * MINUTE)
  assert.deepEqual(fake.done, ['scrub'], 'Saturday, after eight')
  fake.finishScrub()
  await clock.advance(3 * 60 * MINUTE)
  assert.deepEqual(fake.done, ['scrub', 'prune', 'collect'])
})

test('what came in is hashed when no backup comes in any more', async () => {
  fake.done.length = 0
  fake.receive(3, 1)
  await clock.advance(5 * MINUTE)
  assert.deepEqual(fake.done, [])
  fake.receive(3, 0)
  await clock.advance(MINUTE)
  assert.deepEqual(fake.done, ['prove'])
  await clock.advance(5 * MINUTE)
  assert.deepEqual(fake.done, ['prove'])
})

test('cleaning waits for the proof, for half a day at most: what nobody has hashed must not push out an older restore point', async () => {
  await clock.advance(12 * 60 * MINUTE)
  fake.finishScrub()
  fake.done.length = 0
  fake.receive(3, 1)
  await clock.advance(22 * 60 * MINUTE)
  assert.deepEqual(fake.done, ['scrub'])
  fake.receive(3, 0)
  await clock.advance(2 * MINUTE)
  assert.deepEqual(fake.done, ['scrub', 'prove', 'prune', 'collect'])
  fake.done.length = 0
  fake.receive(3, 1)
  await clock.advance(36 * 60 * MINUTE)
  assert.deepEqual(fake.done, ['prune', 'collect'], 'a vault that is never quiet')
})

test('a collection that was refused is not tried each minute', async () => {
  fake.done.length = 0
  fake.refuse('the index of web01 cannot be read')
  await clock.advance(24 * 60 * MINUTE)
  assert.deepEqual(
    fake.done.filter(what => what === 'collect'),
    ['collect'],
  )
})

test('a person begins a scrub and stops it; a second one at once is busy', async () => {
  fake.done.length = 0
  await chores.beginScrub()
  await assert.rejects(chores.beginScrub(), { code: 'busy' })
  await chores.stopScrub()
  await clock.advance(30 * MINUTE)
  assert.deepEqual(fake.done, ['scrub'], 'it stays stopped')
  await chores.beginScrub()
  assert.deepEqual(fake.done, ['scrub', 'scrub'])
  await chores.stopScrub()
  await chores.stopScrub()
})

test('the end of the process stops a scrub, and the next process goes on with it', async () => {
  await chores.beginScrub()
  await chores.close()
  fake.done.length = 0
  chores = start()
  await clock.advance(MINUTE)
  assert.deepEqual(fake.done, ['scrub'])
})
