import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FleetSnapshot } from '../../controller/fleet/snapshot.ts'
import { planRebalance } from '../../controller/placement/balance/rebalance.ts'
import { recheckMove } from '../../controller/placement/gate.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { NIGHT } from '../fakes/fleet-builder.ts'
import { arbitraryFleet, calmFleet, tightFleet } from './arbitrary-fleet.ts'
import { over } from './over.ts'
import { arrived, brokenGroups, brokenRules } from './placement-oracle.ts'

const SEED = 20_261_128

const fleets = fc.oneof(arbitraryFleet, calmFleet, tightFleet)
const rested = fc.record({ snapshot: fleets, resting: fc.nat({ max: 3 }) })

/** What the fleets of the first property came to: few are worth a move, and without any it would say nothing. */
const seen = { moves: 0, waiting: 0 }

over({ seed: SEED, runs: 400 })(
  'a rebalancing breaks no rule on its way, in any order that it allows',
  rested,
  ({ snapshot, resting }) => {
    const left = snapshot.vms.filter((_, index) => index % 4 === resting)
    const { plan, before } = planRebalance(snapshot, {
      id: '',
      now: NIGHT,
      requestedBy: 'a property',
      movedAt: new Map(left.map(vm => [vm.id, NIGHT - HOUR_MS])),
      cooldownMs: 24 * HOUR_MS,
    })
    const broken = brokenGroups(snapshot)
    for (const lateFirst of [false, true]) {
      let world = snapshot
      const moved: (typeof plan.moves)[number][] = []
      while (moved.length < plan.moves.length) {
        const done = new Set(moved.map(move => move.vmId))
        const ready = plan.moves.filter(move => !done.has(move.vmId) && move.needs.every(id => done.has(id)))
        const next = lateFirst ? ready.at(-1) : ready[0]
        if (next === undefined) return assert.fail('the moves wait for each other')
        assert.deepEqual(recheckMove(world, next), [], next.vm)
        world = arrived(world, next)
        moved.push(next)
        assert.deepEqual(brokenRules(snapshot, world, moved), [])
      }
      assert.deepEqual(
        brokenGroups(world).filter(name => !broken.includes(name)),
        [],
      )
    }
    seen.moves += plan.moves.length
    seen.waiting += plan.moves.filter(move => move.needs.length > 0).length
    const ids = plan.moves.map(move => move.vmId)
    assert.equal(new Set(ids).size, ids.length, 'no VM moves twice')
    assert.ok(!left.some(vm => ids.includes(vm.id)), 'who was moved lately stays')
    const lost = new Set(before.notSurvivable.map(each => each.blade))
    for (const { blade } of plan.nPlusOne.notSurvivable) assert.ok(lost.has(blade), `${blade} is lost by it`)
  },
)

test('among those fleets are some that are moved, and moves that wait for others', () => {
  assert.ok(seen.moves > 50 && seen.waiting > 3, JSON.stringify(seen))
})

over({ seed: SEED, runs: 60 })('the same fleet gives the same rebalancing', tightFleet, snapshot => {
  const shuffled = { ...snapshot, blades: snapshot.blades.toReversed(), vms: snapshot.vms.toReversed() }
  const request = { id: '', now: NIGHT, requestedBy: '', movedAt: new Map(), cooldownMs: 0 }
  const moves = (fleet: FleetSnapshot) =>
    planRebalance(fleet, request).plan.moves.map(move => `${move.vm} ${move.to}`)
  assert.deepEqual(moves(shuffled), moves(snapshot))
})
