import assert from 'node:assert/strict'
import type { FleetSnapshot, VmView } from '../../controller/fleet/snapshot.ts'
import { admit, recheckMove, whyNot } from '../../controller/placement/gate.ts'
import { planEvacuation, planMove } from '../../controller/placement/make-plan.ts'
import { placeAll } from '../../controller/placement/place.ts'
import type { PlannedMove } from '../../controller/placement/plan.ts'
import { roomsOf } from '../../controller/placement/room.ts'
import { nPlusOne, nPlusOneOf } from '../../controller/placement/survives.ts'
import { NIGHT } from '../fakes/fleet-builder.ts'
import { arbitraryFleet, calmFleet, tightFleet } from './arbitrary-fleet.ts'
import { over } from './over.ts'
import { arrived, brokenGroups, brokenRules } from './placement-oracle.ts'

const HEAD = { id: 'p1', cause: 'a property', now: NIGHT }
const holds = over({ seed: 20_260_301, runs: 300 })

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
    const leaving = plan.moves.filter(move => move.role === 'leaves')
    const told = [...leaving.map(move => move.vmId), ...plan.unplaced.map(each => each.vmId)]
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

/** What the oracle has rules for; of the others (CPU models, transient VMs) it knows nothing. */
const KNOWN_TO_THE_ORACLE = new Set<string>([
  'blade-is-source',
  'blade-not-in-service',
  'blade-not-healthy',
  'blade-not-up',
  'memory-short',
  'name-taken',
  'network-missing',
  'storage-missing',
  'storage-short',
  'vm-busy',
  'vm-limit',
  'vm-not-running',
])

holds(
  'what why-not says is true: where the move is forced all the same, a rule is broken',
  arbitraryFleet,
  snapshot => {
    for (const vm of snapshot.vms) {
      for (const blade of snapshot.blades) {
        const codes = whyNot(snapshot, vm.id, blade.name).reasons.map(reason => reason.code)
        if (codes.some(code => !KNOWN_TO_THE_ORACLE.has(code))) continue
        const method = vm.state === 'running' ? 'live' : 'cold'
        const forced = { vmId: vm.id, vm: vm.name, from: vm.blade, to: blade.name, method } as PlannedMove
        const broken = brokenRules(snapshot, arrived(snapshot, forced), [forced])
        assert.equal(broken.length > 0, codes.length > 0, `${vm.name} to ${blade.name}: ${codes}; ${broken}`)
      }
    }
  },
)

holds('each planned move passes the re-check when its turn comes', arbitraryFleet, snapshot => {
  for (const plan of evacuations(snapshot)) {
    let world = snapshot
    for (const move of plan.moves) {
      assert.deepEqual(recheckMove(world, move), [])
      world = arrived(world, move)
    }
  }
})

holds(
  'a move goes to a blade that takes it, and its score is the sum of its parts',
  arbitraryFleet,
  snapshot => {
    for (const plan of evacuations(snapshot)) {
      for (const move of plan.moves) {
        assert.ok(move.scores.some(score => score.blade === move.to))
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
  },
)

holds(
  'where the best blade for each in turn leaves none and keeps N+1, that is the plan',
  calmFleet,
  snapshot => {
    for (const plan of evacuations(snapshot)) {
      const blades = snapshot.blades.map(blade =>
        blade.name === plan.blade ? { ...blade, admin: 'cordoned' as const } : blade,
      )
      const leaving = snapshot.vms.filter(vm => vm.blade === plan.blade)
      const inTurn = placeAll(leaving, roomsOf({ ...snapshot, blades }))
      const targets = new Map(inTurn.placements.map(({ vm, to }) => [vm.id, to]))
      const vms = snapshot.vms.map(vm => ({ ...vm, blade: targets.get(vm.id) ?? vm.blade }))
      if (inTurn.unplaced.length > 0 || !nPlusOneOf(vms, inTurn.rooms).kept) continue
      assert.deepEqual(new Map(plan.moves.map(move => [move.vmId, move.to])), targets)
    }
  },
)

holds(
  'of a blade that N+1 calls lost nobody is left behind only where others step aside',
  calmFleet,
  snapshot => {
    const plans = new Map(evacuations(snapshot).map(plan => [plan.blade, plan]))
    for (const { blade, vms } of nPlusOne(snapshot).notSurvivable) {
      const plan = plans.get(blade)
      const asides = plan?.moves.filter(move => move.role === 'makes-room') ?? []
      assert.ok((plan?.unplaced.length ?? 0) > 0 || asides.length > 0, `${blade}: ${vms.join(', ')}`)
    }
  },
)

holds(
  'a plan breaks no rule of groups that was kept before, and emptying needs no second try',
  tightFleet,
  snapshot => {
    const before = brokenGroups(snapshot)
    for (const plan of evacuations(snapshot)) {
      const targets = new Map(plan.moves.map(move => [move.vmId, move.to]))
      const after = {
        ...snapshot,
        vms: snapshot.vms.map(vm => ({ ...vm, blade: targets.get(vm.id) ?? vm.blade })),
      }
      const together = new Set(
        snapshot.rules.groups.filter(each => each.kind === 'together').map(each => each.name),
      )
      const broken = brokenGroups(after).filter(name => !before.includes(name))
      // Of those that belong together some may find no place: the others do not stay on a failing blade for that.
      assert.deepEqual(
        broken.filter(name => plan.unplaced.length === 0 || !together.has(name)),
        [],
      )
    }
  },
)

holds('one more blade never makes a plan impossible that was possible', tightFleet, snapshot => {
  const like = snapshot.blades[0]
  if (like?.capacity === undefined) return
  const pools = like.capacity.pools.map(pool => ({ ...pool, freeBytes: pool.sizeBytes, reclaimableBytes: 0 }))
  const added = { ...like, name: 'blade99', chassis: 'chassis9', capacity: { ...like.capacity, pools } }
  const larger = { ...snapshot, blades: [...snapshot.blades, added] }
  for (const plan of evacuations(snapshot)) {
    if (plan.unplaced.length > 0) continue
    const again = planEvacuation(larger, { ...HEAD, bladeName: plan.blade })
    assert.deepEqual(again.unplaced, [], plan.blade)
  }
})

holds('what a plan says would help does help', tightFleet, snapshot => {
  for (const plan of evacuations(snapshot)) {
    for (const relief of plan.relief.filter(({ kind }) => kind === 'memory')) {
      const name = relief.blades[0]
      const blades = snapshot.blades.map(blade =>
        blade.name === name && blade.capacity !== undefined
          ? {
              ...blade,
              capacity: { ...blade.capacity, memoryBytes: blade.capacity.memoryBytes + relief.amount },
            }
          : blade,
      )
      const again = planEvacuation({ ...snapshot, blades }, { ...HEAD, bladeName: plan.blade })
      assert.deepEqual(again.unplaced, [], `${plan.blade}: ${relief.text}`)
    }
  }
})

/** Every order in which the moves may run that keeps to what they wait for, by chance: none of them breaks a rule. */
holds(
  'what a move waits for is enough: in whatever order it leaves to chance, no rule is broken',
  tightFleet,
  snapshot => {
    for (const plan of evacuations(snapshot)) {
      if (plan.moves.every(move => move.needs.length === 0)) continue
      const random = chance(plan.moves.length)
      for (let round = 0; round < 5; round++) {
        let world = snapshot
        const done: PlannedMove[] = []
        while (done.length < plan.moves.length) {
          const may = plan.moves.filter(
            move => !done.includes(move) && move.needs.every(need => done.some(each => each.vmId === need)),
          )
          const next = may[random(may.length)]
          assert.ok(next !== undefined, 'moves wait for each other')
          world = arrived(world, next)
          done.push(next)
          assert.deepEqual(brokenRules(snapshot, world, done), [])
        }
      }
    }
  },
)

/** Whole numbers below a limit, the same ones in each run. */
function chance(seed: number): (below: number) => number {
  let state = seed + 1
  return below => {
    state = (state * 48_271) % 2_147_483_647
    return state % below
  }
}

function isUp(snapshot: FleetSnapshot, vm: VmView): boolean {
  return snapshot.blades.find(blade => blade.name === vm.blade)?.liveness === 'up'
}
