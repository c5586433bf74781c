import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Model, Step } from '../../../../../controller/placement/solver/model.ts'
import { type Solution, solve } from '../../../../../controller/placement/solver/solve.ts'
import { type ModelSketch, modelOf } from './model-builder.ts'

const SEED = 20_261_128
const RUNS = 300
const PLENTY = 50_000_000

function solved(sketch: ModelSketch, leaving: readonly number[], mostAside = 4): Solution {
  const options = { budget: { left: PLENTY }, mostAside, keepNPlusOne: false }
  return solve(modelOf(sketch), leaving, options)
}

const words = (solution: Solution) => solution.steps.map(({ vm, from, to }) => `${vm}: ${from} → ${to}`)

test('a VM that fits nowhere gets its place when another one steps aside, and waits for it', () => {
  const solution = solved(
    {
      blades: [[16], [16], [16]],
      closed: [0],
      vms: [
        { at: 0, need: [12] },
        { at: 1, need: [4] },
        { at: 1, need: [6] },
        { at: 2, need: [8] },
      ],
    },
    [0],
  )
  assert.deepEqual(words(solution), ['2: 1 → 2', '0: 0 → 1'])
  assert.deepEqual(solution.needs, [[], [0]])
})

test('the cheapest set steps aside, and is proven to be that', () => {
  const solution = solved(
    {
      blades: [[20], [20], [20]],
      closed: [0],
      vms: [
        { at: 0, need: [10] },
        { at: 1, need: [9] },
        { at: 1, need: [3] },
        { at: 2, need: [9] },
        { at: 2, need: [4] },
      ],
    },
    [0],
  )
  assert.deepEqual(words(solution), ['2: 1 → 2', '0: 0 → 1'])
  assert.deepEqual([solution.asideWork, solution.leastAsideWork], [3, 3])
})

test('two full blades that would have to swap have no order: the VM stays, and nothing is moved for it', () => {
  const solution = solved(
    {
      blades: [[10], [10], [10]],
      closed: [0],
      vms: [
        { at: 0, need: [5] },
        { at: 1, need: [6] },
        { at: 2, need: [6] },
      ],
    },
    [0],
  )
  assert.deepEqual([solution.steps, solution.unplaced], [[], [0]])
})

test('if not all can be placed the highest priority is, whatever its size; of equals the most', () => {
  const blades = [[16], [16]]
  const vms = [
    { at: 0, need: [4], priority: 1 },
    { at: 0, need: [14], priority: 5 },
    { at: 0, need: [4], priority: 1 },
  ]
  assert.deepEqual(solved({ blades, closed: [0], vms }, [0, 1, 2]).unplaced, [0, 2])
  const equals = vms.map(vm => ({ ...vm, priority: 0 }))
  assert.deepEqual(solved({ blades, closed: [0], vms: equals }, [0, 1, 2]).unplaced, [1])
})

test('VMs that must be apart keep each other out, and let each other in when the first has left', () => {
  const sketch = {
    blades: [[10], [10], [10]],
    closed: [0],
    vms: [
      { at: 0, need: [8] },
      { at: 1, need: [2] },
      { at: 2, need: [3] },
    ],
  }
  assert.deepEqual(words(solved(sketch, [0])), ['0: 0 → 1'])
  const solution = solved({ ...sketch, apart: [[0, 1]] }, [0])
  assert.deepEqual(words(solution), ['1: 1 → 2', '0: 0 → 1'])
  assert.deepEqual(solution.needs, [[], [0]])
})

test('of two VMs of one size it matters which is where, when others must be apart from one of them', () => {
  const needs = [4, 3, 2, 4]
  const vms = needs.map(need => ({ at: 0, need: [need] }))
  const sketch = { blades: [[13], [4], [3], [7]], closed: [0], vms, apart: [[0, 1, 2]] }
  assert.deepEqual(solved(sketch, [0, 1, 2, 3], 0).unplaced, [])
})

test('what led nowhere with two VMs left says nothing of two others, though the room is the same', () => {
  const needs = [2, 7, 8, 8, 4, 6]
  const solution = solved(
    { blades: [[35], [18], [11], [6]], closed: [0], vms: needs.map(need => ({ at: 0, need: [need] })) },
    needs.map((_, index) => index),
    0,
  )
  assert.deepEqual(solution.unplaced, [])
})

const problems = fc
  .record({
    rooms: fc.array(fc.tuple(fc.integer({ min: 8, max: 16 }), fc.integer({ min: 8, max: 16 })), {
      minLength: 3,
      maxLength: 4,
    }),
    sizes: fc.array(
      fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), fc.nat({ max: 3 })),
      {
        minLength: 3,
        maxLength: 8,
      },
    ),
  })
  .map(({ rooms, sizes }): ModelSketch => {
    const left = rooms.map(room => [...room])
    const vms: { at: number; need: number[] }[] = []
    for (const [memory, disk, wish] of sizes) {
      const offset = left.findIndex((_, index) => {
        const room = left[(index + wish) % left.length] ?? []
        return (room[0] ?? 0) >= memory && (room[1] ?? 0) >= disk
      })
      if (offset < 0) continue
      const at = (offset + wish) % left.length
      const room = left[at] ?? []
      left[at] = [(room[0] ?? 0) - memory, (room[1] ?? 0) - disk]
      vms.push({ at, need: [memory, disk] })
    }
    return { blades: rooms, closed: [0], vms }
  })

test(`finds a way whenever there is one, and the one with the least work (seed ${SEED}, ${RUNS} problems)`, () => {
  fc.assert(
    fc.property(problems, sketch => {
      const leaving = sketch.vms.flatMap((vm, index) => (vm.at === 0 ? [index] : []))
      const model = modelOf(sketch)
      const solution = solved(sketch, leaving)
      const least = leastWork(model, leaving, 4)
      assert.equal(solution.unplaced.length === 0, least !== undefined)
      if (least !== undefined) assert.equal(solution.asideWork, least)
      assert.deepEqual(illegal(model, solution.steps), [])
    }),
    { seed: SEED, numRuns: RUNS },
  )
})

/** By trying every assignment of every VM and every order: slow, and of no code in common with the solver. */
function leastWork(model: Model, leaving: readonly number[], mostAside: number): number | undefined {
  const own = new Set(leaving)
  let best: number | undefined
  const target: number[] = []
  const assign = (vm: number, asides: number, work: number): void => {
    if (best !== undefined && work >= best) return
    if (vm === model.vmCount) {
      const steps = target.flatMap((to, index): Step[] =>
        to === model.at[index] ? [] : [{ vm: index, from: model.at[index] ?? -1, to }],
      )
      if (hasOrder(model, steps)) best = work
      return
    }
    const home = model.at[vm] ?? -1
    const may = own.has(vm) ? [] : [home]
    for (let blade = 1; blade < model.bladeCount; blade++) if (blade !== home) may.push(blade)
    for (const to of may) {
      target[vm] = to
      const aside = !own.has(vm) && to !== home
      if (!aside) assign(vm + 1, asides, work)
      else if (asides < mostAside) assign(vm + 1, asides + 1, work + (model.work[vm] ?? 0))
    }
  }
  assign(0, 0, 0)
  return best
}

function hasOrder(model: Model, steps: readonly Step[]): boolean {
  if (steps.length === 0) return true
  return steps.some((step, index) => {
    if (illegal(model, [step]).length > 0) return false
    return hasOrder(
      moved(model, step),
      steps.filter((_, other) => other !== index),
    )
  })
}

function moved(model: Model, { vm, from, to }: Step): Model {
  const free = model.free.slice()
  const at = model.at.slice()
  for (let dim = 0; dim < model.dims; dim++) {
    free[from * model.dims + dim] =
      (free[from * model.dims + dim] ?? 0) + (model.need[vm * model.dims + dim] ?? 0)
    free[to * model.dims + dim] =
      (free[to * model.dims + dim] ?? 0) - (model.need[vm * model.dims + dim] ?? 0)
  }
  at[vm] = to
  return { ...model, free, at }
}

/** Steps after which a blade has less than nothing left. */
function illegal(model: Model, steps: readonly Step[]): Step[] {
  let world = model
  return steps.filter(step => {
    world = moved(world, step)
    const room = world.free.slice(step.to * model.dims, (step.to + 1) * model.dims)
    return room.some(left => left < 0) || model.open[step.to] === 0
  })
}
