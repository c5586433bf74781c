import assert from 'node:assert/strict'
import fc from 'fast-check'
import { planAround } from '../../controller/evacuation/plan-around.ts'
import { toMove } from '../../controller/evacuation/planned-move.ts'
import type { FleetSnapshot } from '../../controller/fleet/snapshot.ts'
import { companyOf, recheckMove } from '../../controller/placement/gate.ts'
import { planEvacuation } from '../../controller/placement/make-plan.ts'
import type { Plan, PlannedMove } from '../../controller/placement/plan.ts'
import type { EvacuationRecord } from '../../controller/store/evacuations.ts'
import { NIGHT } from '../fakes/fleet-builder.ts'
import { arbitraryFleet, tightFleet } from './arbitrary-fleet.ts'
import { over } from './over.ts'
import { arrived } from './placement-oracle.ts'

const holds = over({ seed: 20_261_128, runs: 80 })

/** Fleets, and which of the moves that are ready comes next, again and again. */
const cases = fc.record({
  snapshot: fc.oneof(arbitraryFleet, tightFleet),
  choices: fc.array(fc.nat({ max: 99 }), { minLength: 1, maxLength: 8 }),
})

holds('of two evacuations each move passes its re-check, however they take turns', cases, each => {
  const snapshot = withoutTogether(each.snapshot)
  for (const one of snapshot.blades) {
    for (const other of snapshot.blades) {
      if (one.name === other.name) continue
      const begun = cordoned(snapshot, one.name)
      const first = emptied(begun, one.name, [])
      // What comes to the second is planned anew: that is another story.
      if (first.moves.some(move => move.to === other.name)) continue
      const then = cordoned(begun, other.name)
      takeTurns(then, [first, emptied(then, other.name, [recordOf(first)])], each.choices)
    }
  }
})

function emptied(snapshot: FleetSnapshot, bladeName: string, before: EvacuationRecord[]): Plan {
  const head = { id: `p${before.length}`, cause: 'a property', now: NIGHT, budgetMs: 20 }
  return planAround(snapshot, [before], view => planEvacuation(view, { ...head, bladeName }))
}

function takeTurns(begun: FleetSnapshot, plans: readonly Plan[], choices: readonly number[]): void {
  let world = begun
  let left = plans.map(plan => plan.moves)
  for (let turn = 0; left.some(moves => moves.length > 0); turn += 1) {
    const ready = left.flatMap(moves => {
      const waiting = new Set(moves.map(move => move.vmId))
      return moves.filter(move => !move.needs.some(id => waiting.has(id)))
    })
    const move = ready[(choices[turn % choices.length] ?? 0) % ready.length]
    assert.ok(move !== undefined, 'they wait for each other')
    if (isThere(world, move)) {
      const along = left.find(moves => moves.includes(move)) ?? []
      const reasons = recheckMove(world, move, { company: companyOf(along, move) })
      assert.deepEqual(reasons, [], `${plans.map(plan => plan.blade)}: ${move.vm} to ${move.to}`)
      world = arrived(world, move)
    }
    left = left.map(moves => moves.filter(each => each !== move))
  }
}

/** Both plans may ask the same VM to step aside: the first to do so moves it. */
function isThere({ vms }: FleetSnapshot, { vmId, from }: PlannedMove): boolean {
  return vms.some(vm => vm.id === vmId && vm.blade === from)
}

/** A group that lies apart is joined where a part of it is to come, and is refused until that has come. */
function withoutTogether(snapshot: FleetSnapshot): FleetSnapshot {
  const groups = snapshot.rules.groups.filter(group => group.kind !== 'together')
  return { ...snapshot, rules: { ...snapshot.rules, groups } }
}

function cordoned(snapshot: FleetSnapshot, name: string): FleetSnapshot {
  const blades = snapshot.blades.map(blade =>
    blade.name === name ? { ...blade, admin: 'cordoned' as const } : blade,
  )
  return { ...snapshot, blades }
}

function recordOf({ id, blade, cause, moves }: Plan): EvacuationRecord {
  return {
    operation: 'o1',
    plan: id,
    blade,
    cause,
    caseKey: '',
    caseId: '',
    state: 'running',
    startedAt: NIGHT,
    endedAt: 0,
    moves: moves.map((move, seq) => toMove(move, seq, id)),
  }
}
