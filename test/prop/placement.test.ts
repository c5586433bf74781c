import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FleetSnapshot, VmView } from '../../controller/fleet/snapshot.ts'
import { admit, recheckMove, whyNot } from '../../controller/placement/gate.ts'
import { planEvacuation, planMove } from '../../controller/placement/make-plan.ts'
import type { PlannedMove } from '../../controller/placement/plan.ts'
import { nPlusOne } from '../../controller/placement/survives.ts'
import { NIGHT } from '../fakes/fleet-builder.ts'
import { arbitraryFleet, calmFleet } from './arbitrary-fleet.ts'
import { arrived, brokenRules } from './placement-oracle.ts'

const SEED = 20_260_301
const RUNS = 300
const HEAD = { id: 'p1', cause: 'a property', now: NIGHT }

function holds(
  name: string,
  fleets: fc.Arbitrary<FleetSnapshot>,
  check: (snapshot: FleetSnapshot) => void,
): void {
  test(`${name} (seed ${SEED}, ${RUNS} fleets)`, () => {
    fc.assert(fc.property(fleets, check), { seed: SEED, numRuns: RUNS })
  })
}

const evacuations = (snapshot: FleetSnapshot) =>
  snapshot.blades.map(blade => planEvacuation(snapshot, { ...HEAD, bladeName: blade.name }))

holds('a plan breaks no rule in any state on its way', arbitraryFleet, snapshot => {
  for (const plan of evacuations(snapshot)) {
    let world = snapshot
    const moved: PlannedMove[] = []
    for (const move of plan.moves) {
      world = arrived(world, move)
      moved.push(move)
      assert.deepEqual(brokenRules(snapshot, world, moved), [])
    }
  }
})

holds('no VM is lost: each is moved once, or unplaced with a reason', arbitraryFleet, snapshot => {
  for (const plan of evacuations(snapshot)) {
    const there = snapshot.vms.filter(vm => vm.blade === plan.blade).map(vm => vm.id)
    const told = [...plan.moves.map(move => move.vmId), ...plan.unplaced.map(each => each.vmId)]
    assert.deepEqual(told.sort(), there.sort())
    for (const each of plan.unplaced) assert.ok(each.reasons.length > 0, each.vm)
  }
})

holds('the same fleet gives the same plan, in whatever order it is listed', arbitraryFleet, snapshot => {
  const shuffled = { ...snapshot, blades: snapshot.blades.toReversed(), vms: snapshot.vms.toReversed() }
  assert.deepEqual(evacuations(shuffled).toReversed(), evacuations(snapshot))
})

holds('why-not, the gate and a move by hand give the same answer', arbitraryFleet, snapshot => {
  for (const vm of snapshot.vms) {
    for (const blade of snapshot.blades) {
      const answer = whyNot(snapshot, vm.id, blade.name)
      const reasons = admit(snapshot, vm, blade.name, { purpose: 'move' })
      assert.deepEqual(answer.reasons, reasons)
      assert.equal(answer.possible, reasons.length === 0)
      if (!isUp(snapshot, vm)) continue
      const plan = planMove(snapshot, { ...HEAD, vmId: vm.id, to: blade.name })
      assert.equal(plan.moves.length === 1, answer.possible, `${vm.name} to ${blade.name}`)
    }
  }
})

holds('each planned move passes the re-check when its turn comes', arbitraryFleet, snapshot => {
  for (const plan of evacuations(snapshot)) {
    let world = snapshot
    for (const move of plan.moves) {
      assert.deepEqual(recheckMove(world, move), [])
      world = arrived(world, move)
    }
  }
})

holds('a move goes to the best blade, and its score is the sum of its parts', arbitraryFleet, snapshot => {
  for (const plan of evacuations(snapshot)) {
    for (const move of plan.moves) {
      assert.equal(move.scores[0]?.blade, move.to)
      const totals = move.scores.map(score => score.total)
      assert.deepEqual(
        totals,
        totals.toSorted((a, b) => b - a),
      )
      for (const { total, parts } of move.scores) {
        const sum = Object.values(parts).reduce((so, points) => so + points, 0)
        assert.ok(Math.abs(sum - total) < 0.005, `${sum} is not ${total}`)
      }
      const refused = new Set(move.rejected.map(reason => reason.blade))
      assert.equal(refused.size + move.scores.length, snapshot.blades.length - 1)
    }
  }
})

holds('a blade that N+1 calls lost has no plan that leaves nobody behind', calmFleet, snapshot => {
  const left = new Map(evacuations(snapshot).map(plan => [plan.blade, plan.unplaced.length]))
  for (const { blade, vms } of nPlusOne(snapshot).notSurvivable) {
    assert.ok((left.get(blade) ?? 0) > 0, `${blade}: ${vms.join(', ')}`)
  }
})

function isUp(snapshot: FleetSnapshot, vm: VmView): boolean {
  return snapshot.blades.find(blade => blade.name === vm.blade)?.liveness === 'up'
}
