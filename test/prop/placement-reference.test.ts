import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planEvacuation } from '../../controller/placement/make-plan.ts'
import { readGaneti } from '../../controller/simulate/ganeti-text.ts'
import { type Cluster, type ClusterShape, makeCluster } from '../bench/placement-clusters.ts'
import { bytesOf, solveExactly } from '../bench/placement-exact.ts'
import { toGanetiText } from '../bench/placement-ganeti.ts'
import { type ReplayMove, replay } from '../bench/placement-replay.ts'

/** Small clusters of `npm run bench -- placement`, full enough that most need somebody to step aside. */
const SHAPES: readonly (ClusterShape & { readonly maxVms?: number })[] = [
  { blades: 5, utilisation: 0.99 },
  { blades: 5, utilisation: 0.88, diskUtilisation: 0.9 },
  { blades: 5, utilisation: 0.85, diskUtilisation: 0.85, maxVms: 8 },
  { blades: 6, drained: 2, utilisation: 0.98 },
]
const SEEDS = 15

for (const shape of SHAPES) {
  const name = JSON.stringify(shape)
  test(`what the exact reference places, the planner places, with hardly more bytes: ${name}, seeds 1-${SEEDS}`, () => {
    const seen = { direct: 0, aside: 0, none: 0 }
    for (let seed = 1; seed <= SEEDS; seed++) {
      const cluster = makeCluster(shape, seed)
      const { maxVms } = shape
      const limits = maxVms === undefined ? {} : { maxVms }
      const exact = solveExactly(cluster, limits)
      assert.equal(exact.isGivenUp, false)
      const plan = planOf(cluster, limits)
      const done = replay(cluster, plan.moves, { ...limits, everyOrder: true })
      assert.deepEqual(done.broken, [], `seed ${seed}`)
      if (exact.steps === undefined) {
        seen.none += 1
        continue
      }
      assert.deepEqual(
        plan.unplaced,
        [],
        `seed ${seed}: the reference needs ${exact.steps.length} to step aside`,
      )
      assert.ok(done.isEmptied)
      seen[exact.isDirect ? 'direct' : 'aside'] += 1
      const best = leaving(cluster) + exact.extraBytesMib
      assert.ok(done.bytesMib <= best * 1.05, `seed ${seed}: ${done.bytesMib} MiB, ${best} would do`)
    }
    assert.ok(seen.direct > 0 && seen.aside > 0, JSON.stringify(seen))
  })
}

function planOf(cluster: Cluster, limits: { readonly maxVms?: number }) {
  const fleet = readGaneti(toGanetiText(cluster), limits)
  const [bladeName = '', ...alsoBlades] = drainedOf(cluster)
  return planEvacuation(fleet, { bladeName, alsoBlades, cause: 'test', id: '', now: 0 })
}

function drainedOf(cluster: Cluster): string[] {
  return cluster.blades.filter(blade => blade.isDrained).map(blade => blade.name)
}

function leaving(cluster: Cluster): number {
  const drained = new Set(drainedOf(cluster))
  return cluster.vms.filter(vm => drained.has(vm.blade)).reduce((sum, vm) => sum + bytesOf(vm), 0)
}

/** Four blades of 8 GiB without a host's share, the first drained. */
function tiny(vms: readonly (readonly [name: string, blade: number, gib: number])[]): Cluster {
  const name = (index: number) => `blade${index}`
  return {
    blades: [0, 1, 2, 3].map(index => ({
      name: name(index),
      memoryMib: 8192,
      hostMemoryMib: 0,
      diskMib: 1_000_000,
      isDrained: index === 0,
    })),
    vms: vms.map(([vm, blade, gib]) => ({
      name: vm,
      blade: name(blade),
      memoryMib: gib * 1024,
      diskMib: 1024,
    })),
  }
}

test('the reference finds the cheaper of two ways, and knows what no order of moves can do', () => {
  const one = tiny([
    ['a', 0, 4],
    ['b', 1, 2],
    ['c', 1, 4],
    ['d', 2, 6],
    ['e', 3, 6],
  ])
  assert.deepEqual(solveExactly(one).steps, [{ vm: 'b', to: 'blade2' }])
  // Blade 1 needs what blade 2 has, and the other way round: in the end all would fit, but nobody can begin.
  const swap = tiny([
    ['a', 0, 4],
    ['b', 1, 3],
    ['c', 1, 4],
    ['d', 2, 4],
    ['e', 2, 3],
    ['f', 3, 8],
  ])
  assert.equal(solveExactly(swap).steps, undefined)
})

test('the replay sees what is wrong with a plan', () => {
  const cluster = tiny([
    ['a', 0, 4],
    ['b', 1, 2],
    ['c', 1, 4],
    ['d', 2, 6],
    ['e', 3, 6],
  ])
  const moves = (...list: readonly (readonly [vm: string, to: string, ...needs: string[]])[]): ReplayMove[] =>
    list.map(([vm, to, ...needs]) => ({ vm, to, needs }))
  const broken = (list: ReplayMove[]) => replay(cluster, list, { everyOrder: true }).broken.length
  assert.equal(broken(moves(['b', 'blade2'], ['a', 'blade1', 'b'])), 0)
  // Without waiting for b it is right only as long as nobody hurries.
  assert.equal(broken(moves(['b', 'blade2'], ['a', 'blade1'])), 1)
  assert.ok(broken(moves(['a', 'blade1', 'b'], ['b', 'blade2'])) > 0)
  assert.ok(broken(moves(['a', 'blade0'])) > 0)
  assert.ok(broken(moves(['x', 'blade1'])) > 0)
  assert.equal(replay(cluster, moves(['b', 'blade2'])).isEmptied, false)
})
