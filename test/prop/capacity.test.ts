import assert from 'node:assert/strict'
import fc from 'fast-check'
import { lossesOf } from '../../controller/capacity/losses.ts'
import type { FleetSnapshot, VmView } from '../../controller/fleet/snapshot.ts'
import { admit } from '../../controller/placement/gate.ts'
import { asRestored } from '../../controller/placement/returns.ts'
import { nPlusOne } from '../../controller/placement/survives.ts'
import { fleet } from '../fakes/fleet-builder.ts'
import { arbitraryFleet, calmFleet, tightFleet } from './arbitrary-fleet.ts'
import { over } from './over.ts'
import { arrived } from './placement-oracle.ts'

const holds = over({ seed: 20_261_128, runs: 150 })

const fleets = fc.oneof(arbitraryFleet, calmFleet, tightFleet)

const bladeLosses = (snapshot: FleetSnapshot) =>
  lossesOf({ snapshot, pointOf: () => undefined, blade: '' }).filter(loss => loss.kind === 'blade')

/** The fleet when the blade is dead: its VMs are nowhere. */
function without(snapshot: FleetSnapshot, dead: string): FleetSnapshot {
  return {
    ...snapshot,
    blades: snapshot.blades.filter(blade => blade.name !== dead),
    vms: snapshot.vms.filter(vm => vm.blade !== dead),
  }
}

/** The fleet when the VM has come back there: what its volumes take is free no more. */
function withReturned(world: FleetSnapshot, vm: VmView, to: string): FleetSnapshot {
  const there = { ...world, vms: [...world.vms, { ...vm, blade: '' }] }
  const move = { vmId: vm.id, vm: vm.name, from: '', to, method: 'cold' } as Parameters<typeof arrived>[1]
  return arrived(there, move)
}

function mayReturn(world: FleetSnapshot, vm: VmView, to: string): boolean {
  return admit(world, { ...vm, blade: '' }, to, { purpose: 'restore' }).length === 0
}

/** Every way there is, tried one by one. */
function canReturn(world: FleetSnapshot, vms: readonly VmView[]): boolean {
  const [first, ...others] = vms
  if (first === undefined) return true
  return world.blades.some(
    ({ name }) => mayReturn(world, first, name) && canReturn(withReturned(world, first, name), others),
  )
}

holds(
  'N+1 is kept for a blade exactly when an exhaustive look finds places for its VMs',
  fleets,
  snapshot => {
    const lost = new Set(nPlusOne(snapshot).notSurvivable.map(each => each.blade))
    for (const { name } of snapshot.blades) {
      const vms = snapshot.vms.filter(vm => vm.blade === name).map(asRestored)
      assert.equal(!lost.has(name), canReturn(without(snapshot, name), vms), name)
    }
  },
)

holds(
  'capacity says of a blade what N+1 says, and every place it tells passes the gate',
  fleets,
  snapshot => {
    const { notSurvivable } = nPlusOne(snapshot)
    const told = bladeLosses(snapshot)
    assert.deepEqual(
      told
        .filter(loss => loss.unplaced.length > 0)
        .map(loss => [loss.name, loss.unplaced.map(each => each.vm).sort()]),
      notSurvivable.map(({ blade, vms }) => [blade, vms]),
    )
    for (const loss of told) {
      let world = without(snapshot, loss.name)
      for (const { vm, to } of loss.returns) {
        assert.ok(mayReturn(world, asRestored(vm), to), `${vm.name} on ${to}`)
        world = withReturned(world, asRestored(vm), to)
      }
      const all = [...loss.returns.map(({ vm }) => vm.id), ...loss.unplaced.map(each => each.vmId)]
      const there = snapshot.vms.filter(vm => vm.blade === loss.name).map(vm => vm.id)
      assert.deepEqual(all.sort(), there.sort(), 'each VM is told once')
    }
  },
)

holds('one more empty blade never makes N+1 worse', fleets, snapshot => {
  const [spare] = fleet({ blades: [{ name: 'blade99', networks: ['br0', 'br1'] }], vms: [] }).blades
  const more = { ...snapshot, blades: [...snapshot.blades, spare ?? assert.fail()] }
  const before = new Set(nPlusOne(snapshot).notSurvivable.map(each => each.blade))
  for (const { blade } of nPlusOne(more).notSurvivable) assert.ok(before.has(blade), blade)
})

holds(
  'what would help a blade does help: with the memory it names nothing is without a place',
  tightFleet,
  snapshot => {
    for (const loss of bladeLosses(snapshot)) {
      const memory = loss.relief.find(each => each.kind === 'memory')
      for (const name of memory?.blades ?? []) {
        const larger = snapshot.blades.map(blade =>
          blade.name === name && blade.capacity !== undefined
            ? {
                ...blade,
                capacity: {
                  ...blade.capacity,
                  memoryBytes: blade.capacity.memoryBytes + (memory?.amount ?? 0),
                },
              }
            : blade,
        )
        const after = nPlusOne({ ...snapshot, blades: larger })
        assert.ok(
          !after.notSurvivable.some(each => each.blade === loss.name),
          `${memory?.text} for ${loss.name}`,
        )
      }
    }
  },
)
