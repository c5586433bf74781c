import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LifeboatError } from '../../shared/errors.ts'
import type { SagaDefinition, SagaStep } from '../../shared/saga/definition.ts'
import { type BatteryWorld, runSagaBattery } from './saga-battery.ts'

/** A parcel goes from one shelf to another: reserve a place, copy it, hand it over (no way back), tidy up. */
class Shelves {
  placesReserved = 0
  copies = new Set(['here'])
  owner: 'here' | 'there' = 'here'
  isTidy = false
}

type Step = SagaStep<null, Shelves>

const reserve: Step = {
  name: 'reserve',
  probe: async ({ services }) =>
    services.placesReserved > 0 ? { state: 'done', result: 'place 1' } : { state: 'not-done' },
  do: async ({ services }) => {
    // Not idempotent on purpose: a runner that repeats it without the probe reserves two places.
    services.placesReserved += 1
    return 'place 1'
  },
  undo: async ({ services }) => {
    services.placesReserved = 0
  },
}
const copy: Step = {
  name: 'copy',
  probe: 'repeat',
  do: async ({ services, results }) => {
    assert.equal(results.reserve, 'place 1')
    services.copies.add('there')
    return undefined
  },
  undo: async ({ services }) => {
    services.copies.delete('there')
  },
}
const handOver: Step = {
  name: 'hand-over',
  cannotUndoBecause: 'the parcel is used at its new place',
  probe: async ({ services }) => ({ state: services.owner === 'there' ? 'done' : 'not-done' }),
  do: async ({ services, signal }) => {
    if (signal.aborted) throw new LifeboatError('aborted', 'stopped before the hand-over')
    assert.equal(services.owner, 'here', 'handed over twice')
    services.owner = 'there'
    return undefined
  },
}
const tidyUp: Step = {
  name: 'tidy-up',
  probe: 'repeat',
  do: async ({ services }) => {
    services.copies.delete('here')
    services.isTidy = true
    return undefined
  },
}

function parcelSaga(steps: readonly Step[]): SagaDefinition<null, Shelves> {
  return { kind: 'parcel', parseParams: () => null, steps }
}

function createWorld(): BatteryWorld<Shelves> {
  const shelves = new Shelves()
  return {
    services: shelves,
    check: state => {
      const here = { placesReserved: 0, copies: ['here'], owner: 'here', isTidy: false }
      const there = { placesReserved: 1, copies: ['there'], owner: 'there', isTidy: true }
      assert.deepEqual({ ...shelves, copies: [...shelves.copies] }, state === 'done' ? there : here)
    },
    checkInvariant: () => {
      assert.ok(shelves.copies.has(shelves.owner), `the owner is ${shelves.owner}, but the parcel is not`)
    },
  }
}

test('a saga that keeps its promises passes the whole battery', async () => {
  const definition = parcelSaga([reserve, copy, handOver, tidyUp])
  const { runs } = await runSagaBattery({ definition, params: null, createWorld })
  // 8 writes of the steps and the end, each cut off before and after; the way back has as many.
  assert.equal(runs.filter(run => run.startsWith('forward')).length, 18)
  assert.ok(runs.filter(run => run.startsWith('backward')).length >= 20)
  assert.ok(runs.includes("step 'copy' fails after it acted: undone"))
  assert.ok(runs.includes("step 'hand-over' fails after it acted: done"))
  assert.ok(runs.includes("step 'tidy-up' fails before it acted: needs-admin"))
  assert.ok(runs.includes("step 'tidy-up' is unavailable twice: done"))
  assert.ok(runs.includes("aborted as step 'copy' begins: undone"))
  assert.ok(runs.includes("aborted as step 'tidy-up' begins: done"))
})

const brokenPromises: readonly { what: string; steps: readonly Step[]; expected: RegExp }[] = [
  {
    what: 'an undo that forgets',
    steps: [reserve, { ...copy, undo: async () => {} }, handOver, tidyUp],
    expected: /step 'copy' fails after it acted: ended undone.*but the world is not so/,
  },
  {
    what: 'a step that says it can be repeated and cannot',
    steps: [{ ...reserve, probe: 'repeat' }, copy, handOver, tidyUp],
    expected: /step 'reserve' is done twice: ended done, but the world is not so/,
  },
  {
    what: 'an undo that cannot be repeated',
    steps: [
      reserve,
      {
        ...copy,
        undo: async ({ services }) => {
          if (!services.copies.delete('there')) throw new LifeboatError('not-found', 'no copy there')
        },
      },
      handOver,
      tidyUp,
    ],
    expected: /must end undone, ended needs-admin/,
  },
  {
    what: 'a probe that says not-done whatever happened',
    steps: [{ ...reserve, probe: async () => ({ state: 'not-done' }) }, copy, handOver, tidyUp],
    expected: /the process dies .* but the world is not so/,
  },
]

for (const { what, steps, expected } of brokenPromises) {
  test(`the battery finds ${what}`, async () => {
    const battery = { definition: parcelSaga(steps), params: null, createWorld }
    await assert.rejects(runSagaBattery(battery), { message: expected })
  })
}
