import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lookAround, whileLifted } from '../../../../../controller/placement/solver/look-around.ts'
import { NOWHERE } from '../../../../../controller/placement/solver/model.ts'
import { createPacker, isPackable } from '../../../../../controller/placement/solver/pack.ts'
import { createState, type State } from '../../../../../controller/placement/solver/state.ts'
import { modelOf } from './model-builder.ts'

/** Blade 0 is lost, with VMs of 6, 4 and 3; the others have 9 and 7 left. */
const lost = () =>
  createState(
    modelOf({
      blades: [[13], [9], [7]],
      closed: [0],
      vms: [
        { at: 0, need: [6] },
        { at: 0, need: [4] },
        { at: 0, need: [3] },
      ],
    }),
  )

const ALL = [0, 1, 2]
const written = ({ free, at }: State) => [[...free], [...at]]

/** And afterwards everything is as it was. */
function asked<Answer>(state: State, ask: () => Answer): Answer {
  const before = written(state)
  const answer = whileLifted(state, ALL, ask)
  assert.deepEqual(written(state), before)
  return answer
}

test('each goes onto the emptiest blade that takes it then, one after the other', () => {
  const state = lost()
  assert.deepEqual(
    asked(state, () => lookAround(state, ALL, [1, 2])),
    [1, 2, 1],
  )
})

test('or onto the fullest; of blades that are as full the first one asked', () => {
  const state = lost()
  assert.deepEqual(
    asked(state, () => lookAround(state, ALL, [1, 2], 'fullest')),
    [2, 1, 1],
  )
  const alike = createState(modelOf({ blades: [[5], [9], [9]], vms: [{ at: 0, need: [5] }] }))
  for (const onto of [
    [1, 2],
    [2, 1],
  ]) {
    for (const lookFor of ['emptiest', 'fullest'] as const)
      assert.deepEqual(
        whileLifted(alike, [0], () => lookAround(alike, [0], onto, lookFor)),
        [onto[0]],
      )
  }
})

test('who finds none is told of while those before it are in their places', () => {
  const state = lost()
  const told: [number, number][] = []
  const found = asked(state, () =>
    lookAround(state, ALL, [2], 'emptiest', vm => told.push([vm, state.free[2] as number])),
  )
  assert.deepEqual(found, [2, NOWHERE, NOWHERE])
  assert.deepEqual(told, [
    [1, 1],
    [2, 1],
  ])
})

test('an easy look may miss what the search finds', () => {
  const state = createState(
    modelOf({
      blades: [[11], [6], [5]],
      closed: [0],
      vms: [
        { at: 0, need: [5] },
        { at: 0, need: [3] },
        { at: 0, need: [3] },
      ],
    }),
  )
  assert.deepEqual(
    asked(state, () => lookAround(state, ALL, [1, 2])),
    [1, 2, NOWHERE],
  )
  const packable = (left: number) => asked(state, () => isPackable(state, createPacker(state), ALL, { left }))
  assert.equal(packable(100_000), true)
  assert.equal(packable(0), false, 'not known is no')
})
