import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { BladeView, FleetSnapshot, VmView } from '../../controller/fleet/snapshot.ts'
import { planRebalance } from '../../controller/placement/balance/rebalance.ts'
import { admit, companyOf, recheckMove, whyNot } from '../../controller/placement/gate.ts'
import { planEvacuation } from '../../controller/placement/make-plan.ts'
import type { Plan, PlannedMove } from '../../controller/placement/plan.ts'
import type { GroupRule, PlacementRules } from '../../controller/placement/rules.ts'
import { NIGHT } from '../fakes/fleet-builder.ts'
import { arbitraryFleet } from './arbitrary-fleet.ts'
import { arrived } from './placement-oracle.ts'

const SEED = 20_260_302
const RUNS = 400

const group = fc.record({
  kind: fc.constantFrom('apart' as const, 'together' as const),
  across: fc.constantFrom('blade' as const, 'chassis' as const, 'feed' as const, 'switch' as const),
  hard: fc.constantFrom(true, true, false),
  vms: fc.uniqueArray(fc.nat({ max: 11 }), { minLength: 2, maxLength: 4 }),
})
const pin = fc.record({
  vm: fc.nat({ max: 11 }).map(index => `vm${index}`),
  blades: fc.uniqueArray(fc.constantFrom('blade01', 'blade02', 'blade03', 'blade99'), { maxLength: 2 }),
})

const rules: fc.Arbitrary<PlacementRules> = fc.record({
  vcpuRatio: fc.constantFrom(0, 0.125, 0.25),
  snapshotReserve: fc.constantFrom(0, 0.05, 0.2),
  groups: fc.array(group, { maxLength: 4 }).map(list =>
    list.map(
      ({ kind, across, ...rest }, index): GroupRule => ({
        ...rest,
        kind,
        name: `rule${index}`,
        across: kind === 'apart' ? across : 'blade',
        vms: rest.vms.map(vm => `vm${vm}`),
      }),
    ),
  ),
  vms: fc
    .uniqueArray(pin, { maxLength: 3, selector: each => each.vm })
    .map(list => list.map(each => ({ ...each, priority: 0, evacuate: {} }))),
})

/** Any fleet, with any rules, some of its blades on one feed or switch alone. */
const ruledFleet = fc
  .tuple(arbitraryFleet, rules, fc.array(fc.nat({ max: 3 }), { minLength: 5, maxLength: 5 }))
  .map(([snapshot, wanted, lines]): FleetSnapshot => {
    const some = (names: readonly string[], which: number) =>
      which < 2 ? names.slice(which, which + 1) : names
    const blades = snapshot.blades.map((blade, index) => ({
      ...blade,
      feeds: some(blade.feeds, lines[index] ?? 0),
      switches: some(blade.switches, lines[4 - index] ?? 0),
    }))
    return { ...snapshot, blades, rules: wanted }
  })

/** Does the loss of one thing of that kind take both? Said once more, without a line of the placement's own code. */
function fallTogether(a: BladeView, b: BladeView, across: GroupRule['across']): boolean {
  if (a.name === b.name) return true
  if (across === 'chassis') return a.chassis !== '' && a.chassis === b.chassis
  if (across === 'feed') return a.feeds.length === 1 && b.feeds.length === 1 && a.feeds[0] === b.feeds[0]
  if (across === 'switch')
    return a.switches.length === 1 && b.switches.length === 1 && a.switches[0] === b.switches[0]
  return false
}

function broken({ blades, vms, rules: { groups } }: FleetSnapshot): string[] {
  const bladeOf = (vm: VmView) => blades.find(blade => blade.name === vm.blade)
  return groups
    .filter(each => each.hard)
    .filter(each => {
      const there = vms.filter(vm => each.vms.includes(vm.name)).flatMap(vm => bladeOf(vm) ?? [])
      const pairs = there.flatMap((a, index) => there.slice(index + 1).map(b => [a, b] as const))
      return each.kind === 'apart'
        ? pairs.some(([a, b]) => fallTogether(a, b, each.across))
        : pairs.some(([a, b]) => a.name !== b.name)
    })
    .map(each => each.name)
}

function holds(name: string, check: (snapshot: FleetSnapshot) => void): void {
  test(`${name} (seed ${SEED}, ${RUNS} fleets)`, () => {
    fc.assert(fc.property(ruledFleet, check), { seed: SEED, numRuns: RUNS })
  })
}

function* arrivals(snapshot: FleetSnapshot) {
  for (const vm of snapshot.vms) {
    for (const { name } of snapshot.blades) {
      if (name === vm.blade) continue
      const vms = snapshot.vms.map(each => (each.id === vm.id ? { ...each, blade: name } : each))
      yield { vm, blade: name, after: { ...snapshot, vms } }
    }
  }
}

holds(
  'no arrival that is let in breaks a hard group, leaves its pins or takes more than there is',
  snapshot => {
    const before = new Set(broken(snapshot))
    for (const { vm, blade, after } of arrivals(snapshot)) {
      if (admit(snapshot, vm, blade, { purpose: 'move' }).length > 0) continue
      const story = `${vm.name} to ${blade}`
      assert.deepEqual(
        broken(after).filter(name => !before.has(name)),
        [],
        story,
      )
      const pinned = snapshot.rules.vms.find(each => each.vm === vm.name)?.blades ?? []
      assert.ok(pinned.length === 0 || pinned.includes(blade), story)
      const { capacity } = snapshot.blades.find(each => each.name === blade) ?? {}
      assert.ok(capacity !== undefined)
      const inMemory = after.vms.filter(
        each => each.blade === blade && each.state !== 'stopped' && each.state !== 'crashed',
      )
      const vcpus = inMemory.reduce((sum, each) => sum + each.vcpus, 0)
      const ratio = snapshot.rules.vcpuRatio
      if (ratio > 0 && inMemory.some(each => each.id === vm.id))
        assert.ok(vcpus <= capacity.cpus * ratio, `${story}: ${vcpus} vCPUs`)
      for (const pool of capacity.pools.filter(each => each.storage === 'thick')) {
        const need = vm.volumes
          .filter(volume => volume.pool === pool.name && volume.storage === 'thick')
          .reduce((sum, volume) => sum + volume.sizeBytes, 0)
        const left = pool.freeBytes + pool.reclaimableBytes - need
        const thin = capacity.pools.find(each => each.storage === 'thin')?.sizeBytes ?? 0
        const reserve = (pool.sizeBytes - thin) * snapshot.rules.snapshotReserve
        assert.ok(need === 0 || left >= reserve, `${story}: ${left}`)
      }
    }
  },
)

const OF_RULES = ['kept-apart', 'kept-together', 'pinned', 'vcpus-short'] as const

holds(
  'what why-not says of a rule is true: without that rule, that reason is gone, and it alone',
  snapshot => {
    for (const { vm, blade } of arrivals(snapshot)) {
      const codes = whyNot(snapshot, vm.id, blade).reasons.map(reason => reason.code)
      if (!codes.some(code => OF_RULES.some(each => each === code))) continue
      const lifted: FleetSnapshot['rules'] = { ...snapshot.rules, vcpuRatio: 0, groups: [], vms: [] }
      const without = whyNot({ ...snapshot, rules: lifted }, vm.id, blade).reasons.map(reason => reason.code)
      assert.deepEqual(
        without,
        codes.filter(code => !OF_RULES.some(each => each === code)),
      )
    }
  },
)

holds('a kept-apart that is passed over does break the group, a wish never refuses', snapshot => {
  for (const { vm, blade, after } of arrivals(snapshot)) {
    const { reasons } = whyNot(snapshot, vm.id, blade)
    for (const { text } of reasons.filter(reason => reason.code === 'kept-apart')) {
      const name = /rule '(\w+)'/.exec(text)?.[1] ?? ''
      // A VM on its way stands for its place at both ends; in the fleet of this story it is at one of them.
      const promised = snapshot.blades.some(each => each.reservations.length > 0)
      assert.ok(promised || broken(after).includes(name), `${vm.name} to ${blade}: ${text}`)
    }
    for (const wish of snapshot.rules.groups.filter(each => !each.hard))
      assert.ok(!reasons.some(({ text }) => text.includes(`'${wish.name}'`)))
  }
})

function plansFor(snapshot: FleetSnapshot): Plan[] {
  const head = { id: 'p1', cause: 'a property', now: NIGHT }
  const balanced = planRebalance(snapshot, {
    ...head,
    movedAt: new Map(),
    cooldownMs: 0,
    requestedBy: 'anna',
  })
  return [
    ...snapshot.blades.map(blade => planEvacuation(snapshot, { ...head, bladeName: blade.name })),
    balanced.plan,
  ]
}

/** Plays the plan; `next` chooses among the moves that wait for none any more. */
function replayed(
  snapshot: FleetSnapshot,
  plan: Plan,
  next: (ready: readonly PlannedMove[]) => PlannedMove | undefined,
): void {
  let world = snapshot
  let left = plan.moves
  while (left.length > 0) {
    const waits = new Set(left.map(move => move.vmId))
    const move = next(left.filter(each => !each.needs.some(id => waits.has(id))))
    assert.ok(move !== undefined, 'they wait for each other')
    const reasons = recheckMove(world, move, { company: companyOf(left, move) })
    assert.deepEqual(reasons, [], `${plan.blade}: ${move.vm} to ${move.to}`)
    world = arrived(world, move)
    left = left.filter(each => each !== move)
  }
}

holds('with rules too, each planned move passes the re-check when its turn comes', snapshot => {
  for (const plan of plansFor(snapshot)) replayed(snapshot, plan, ready => ready[0])
})

holds('and in the reverse order, as far as the moves wait for none', snapshot => {
  for (const plan of plansFor(snapshot)) replayed(snapshot, plan, ready => ready.at(-1))
})
