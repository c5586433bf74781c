import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FleetSnapshot } from '../../../../controller/fleet/snapshot.ts'
import { admit, companyOf, whyNot } from '../../../../controller/placement/gate.ts'
import { unkeptGroups } from '../../../../controller/placement/groups.ts'
import { planEvacuation } from '../../../../controller/placement/make-plan.ts'
import type { GroupRule, PlacementRules, VmRule } from '../../../../controller/placement/rules.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { type FleetSketch, fleet, NIGHT, vmNamed } from '../../../fakes/fleet-builder.ts'

const apart = (vms: string[], rest: Partial<GroupRule> = {}): GroupRule => ({
  name: 'mail',
  kind: 'apart',
  across: 'blade',
  hard: true,
  vms,
  ...rest,
})
const together = (vms: string[], rest: Partial<GroupRule> = {}): GroupRule =>
  apart(vms, { name: 'shop', kind: 'together', ...rest })
const vmRule = (vm: string, rest: Partial<VmRule>): VmRule => ({
  vm,
  priority: 0,
  blades: [],
  evacuate: {},
  ...rest,
})

/** Two blades in each of two chassis; chassis2 hangs on one feed. */
const BLADES: FleetSketch['blades'] = [
  { name: 'blade01' },
  { name: 'blade02' },
  { name: 'blade11', chassis: 'chassis2', feeds: ['feed-a'] },
  { name: 'blade12', chassis: 'chassis2', feeds: ['feed-a'] },
]

function world(rules: Partial<PlacementRules>, where: Record<string, string>): FleetSnapshot {
  const vms = Object.entries(where).map(([name, blade]) => ({ name, blade }))
  return fleet({ blades: BLADES, vms, rules })
}

const told = (snapshot: FleetSnapshot, vm: string, blade: string) =>
  whyNot(snapshot, `id-${vm}`, blade).reasons.map(({ code, text }) => `${code}: ${text}`)

test('VMs that must be apart do not meet on a blade, and one that steps aside makes way', () => {
  const rules = { groups: [apart(['mx1', 'mx2'])] }
  const snapshot = world(rules, { mx1: 'blade01', mx2: 'blade02' })
  assert.deepEqual(told(snapshot, 'mx1', 'blade02'), [
    "kept-apart: mx2 is on blade02, and rule 'mail' keeps it apart from mx1",
  ])
  assert.deepEqual(told(snapshot, 'mx1', 'blade11'), [])
  assert.deepEqual(told(world(rules, { mx1: 'blade01', mx2: 'blade12' }), 'mx1', 'blade02'), [])
  const forced = admit(snapshot, vmNamed(snapshot, 'mx1'), 'blade02', { override: true })
  assert.deepEqual(forced, [], 'a person may, for one command')
})

test('apart across chassis or feed looks beyond the blade', () => {
  const where = { mx1: 'blade01', mx2: 'blade12' }
  const chassis = world({ groups: [apart(['mx1', 'mx2'], { across: 'chassis' })] }, where)
  assert.deepEqual(told(chassis, 'mx1', 'blade11'), [
    "kept-apart: mx2 is on blade12, on the same chassis (chassis2), and rule 'mail' keeps it apart from mx1",
  ])
  assert.deepEqual(told(chassis, 'mx1', 'blade02'), [])
  const feed = world({ groups: [apart(['mx1', 'mx2'], { across: 'feed' })] }, where)
  assert.deepEqual(told(feed, 'mx1', 'blade11'), [
    "kept-apart: mx2 is on blade12, on the same feed (feed-a), and rule 'mail' keeps it apart from mx1",
  ])
  // A blade on two feeds survives either: two VMs on two such blades are apart, on one of them they are not.
  assert.deepEqual(told(feed, 'mx2', 'blade02'), [])
  assert.deepEqual(told(feed, 'mx2', 'blade01'), [
    "kept-apart: mx1 is on blade01, and rule 'mail' keeps it apart from mx2",
  ])
})

test('a VM that is on its way counts at both ends', () => {
  const rules = { groups: [apart(['mx1', 'mx2'])] }
  const promise = { operation: 'o1', vmId: 'id-mx2', vmName: 'mx2', memoryBytes: GIB, volumes: [] }
  const blades = BLADES.map(blade =>
    blade.name === 'blade11' ? { ...blade, reservations: [promise] } : blade,
  )
  const vms = Object.entries({ mx1: 'blade01', mx2: 'blade02' }).map(([name, blade]) => ({ name, blade }))
  const snapshot = fleet({ blades, vms, rules })
  for (const blade of ['blade02', 'blade11']) assert.match(told(snapshot, 'mx1', blade).join(), /^kept-apart/)
})

test('one of VMs that are together is not taken away from the others, but joins them', () => {
  const rules = { groups: [together(['shop', 'shopdb'])] }
  const snapshot = world(rules, { shop: 'blade01', shopdb: 'blade01' })
  assert.deepEqual(told(snapshot, 'shop', 'blade02'), [
    "kept-together: shopdb is on blade01, and rule 'shop' keeps it together with shop",
  ])
  const split = world(rules, { shop: 'blade01', shopdb: 'blade02' })
  assert.deepEqual(told(split, 'shop', 'blade02'), [])
  assert.match(told(split, 'shop', 'blade11').join(), /^kept-together: shopdb is on blade02/)
  const alone = world(rules, { shop: 'blade01' })
  assert.deepEqual(told(alone, 'shop', 'blade11'), [], 'nobody to be together with')
})

test('a group that is split already is joined on any of its blades', () => {
  const snapshot = world(
    { groups: [together(['a', 'b', 'c'])] },
    { a: 'blade01', b: 'blade02', c: 'blade11' },
  )
  assert.deepEqual(told(snapshot, 'a', 'blade02'), [])
  assert.deepEqual(told(snapshot, 'a', 'blade11'), [])
  assert.match(told(snapshot, 'a', 'blade12').join(), /^kept-together: b is on blade02/)
})

test('an evacuation takes VMs along that are together, and its re-checks know it', () => {
  const snapshot = world({ groups: [together(['shop', 'shopdb'])] }, { shop: 'blade01', shopdb: 'blade01' })
  const plan = planEvacuation(snapshot, { bladeName: 'blade01', cause: 'a test', id: 'p1', now: NIGHT })
  assert.deepEqual(plan.unplaced, [])
  assert.equal(new Set(plan.moves.map(move => move.to)).size, 1)
  for (const move of plan.moves) {
    const vm = vmNamed(snapshot, move.vm)
    assert.match(
      admit(snapshot, vm, move.to)
        .map(each => each.code)
        .join(),
      /kept-together/,
    )
    assert.deepEqual(admit(snapshot, vm, move.to, { company: companyOf(plan.moves, move) }), [])
  }
})

test('a VM stays with the blades it is pinned to', () => {
  const rules = { vms: [vmRule('db01', { blades: ['blade01', 'blade02', 'blade99'] })] }
  const snapshot = world(rules, { db01: 'blade01' })
  assert.deepEqual(told(snapshot, 'db01', 'blade02'), [])
  assert.deepEqual(told(snapshot, 'db01', 'blade11'), [
    'pinned: db01 may only be on blade01, blade02 or blade99',
  ])
})

test('a soft group refuses nothing; it is a part of the score', () => {
  const soft = world({ groups: [apart(['mx1', 'mx2'], { hard: false })] }, { mx1: 'blade01', mx2: 'blade02' })
  const [met, free] = ['blade02', 'blade11'].map(blade => whyNot(soft, 'id-mx1', blade).score)
  assert.deepEqual([met?.parts.wishes, free?.parts.wishes], [0, 50])
  assert.ok((met?.total ?? 0) < (free?.total ?? 0))
  const none = world({}, { mx1: 'blade01', mx2: 'blade02' })
  assert.equal(whyNot(none, 'id-mx1', 'blade02').score?.parts.wishes, undefined)
})

test('vCPUs of VMs in memory are counted at the ratio; 0 and unknown CPUs are not checked', () => {
  const build = (vcpuRatio: number, cpus: number, state: 'running' | 'stopped' = 'running') =>
    fleet({
      blades: [{ name: 'blade01' }, { name: 'blade02', cpus }],
      vms: [
        { name: 'web01', blade: 'blade01', vcpus: 4, state },
        { name: 'old', blade: 'blade02', vcpus: 6 },
        { name: 'off', blade: 'blade02', vcpus: 90, state: 'stopped' },
      ],
      rules: { vcpuRatio },
    })
  assert.deepEqual(whyNot(build(4, 2), 'id-web01', 'blade02').reasons, [
    {
      code: 'vcpus-short',
      blade: 'blade02',
      text: 'web01 needs 4 vCPUs, blade02 has 2 of 8 left (4 for each of 2 CPUs)',
      needed: 4,
      available: 2,
    },
  ])
  for (const fits of [build(5, 2), build(0, 2), build(4, 0), build(4, 2, 'stopped')])
    assert.deepEqual(whyNot(fits, 'id-web01', 'blade02').reasons, [])
})

test('a thick volume group keeps room for the snapshots of backups, a thin pool none', () => {
  const build = (pool: 'vg0' | 'vg0/pool', storage: 'thick' | 'thin') =>
    fleet({
      blades: [{ name: 'blade01' }, { name: 'blade02', pools: [{ name: pool, storage, gib: 100 }] }],
      vms: [{ name: 'web01', blade: 'blade01', disks: [{ pool, storage, gib: 96 }] }],
      rules: { snapshotReserve: 0.05 },
    })
  assert.deepEqual(whyNot(build('vg0', 'thick'), 'id-web01', 'blade02').reasons, [
    {
      code: 'storage-short',
      blade: 'blade02',
      text: 'web01 needs 96 GiB in vg0, blade02 has 95 GiB there beside the 5 GiB kept for snapshots of backups',
      needed: 96 * GIB,
      available: 95 * GIB,
    },
  ])
  assert.deepEqual(whyNot(build('vg0/pool', 'thin'), 'id-web01', 'blade02').reasons, [])
})

test('of machine types only one that is newer than the hypervisor is refused', () => {
  const reasons = (machine: string, hypervisor: string) => {
    const blades = [{ name: 'blade01' }, { name: 'blade02', hypervisor }]
    const snapshot = fleet({ blades, vms: [{ name: 'web01', blade: 'blade01', machine }] })
    return told(snapshot, 'web01', 'blade02')
  }
  assert.deepEqual(reasons('pc-q35-10.0', 'QEMU 7.2.9, libvirt 9.0.0'), [
    'machine-unknown: web01 is a pc-q35-10.0, which is newer than the hypervisor of blade02 (QEMU 7.2.9, libvirt 9.0.0)',
  ])
  const passes = ['pc-q35-7.2', 'pc-i440fx-2.12', 'pc', '', 'pc-i440fx-noble', 'pc-q35-rhel9.4.0']
  for (const machine of passes) assert.deepEqual(reasons(machine, 'QEMU 7.2.9, libvirt 9.0.0'), [], machine)
  assert.deepEqual(reasons('pc-q35-10.0', 'QEMU 10.0.8, libvirt 11.3.0'), [])
  assert.deepEqual(reasons('pc-q35-10.0', 'Xen 4.17'), [], 'another hypervisor, other words')
})

test('groups that are not kept now are named, whoever broke them', () => {
  const groups = [apart(['mx1', 'mx2'], { across: 'chassis' }), together(['shop', 'shopdb'], { hard: false })]
  const broken = world({ groups }, { mx1: 'blade01', mx2: 'blade02', shop: 'blade01', shopdb: 'blade11' })
  assert.deepEqual(
    unkeptGroups(broken).map(({ text, blades }) => [text, blades]),
    [
      ['mx1 on blade01 (chassis chassis1), mx2 on blade02 (chassis chassis1)', ['blade01', 'blade02']],
      ['shop on blade01, shopdb on blade11', ['blade01', 'blade11']],
    ],
  )
  assert.deepEqual(unkeptGroups(world({ groups }, { mx1: 'blade01', mx2: 'blade11', shop: 'blade01' })), [])
})

test('what an evacuation leaves by policy has a code of its own, and a person is not asked twice', () => {
  const rules = {
    vms: [vmRule('db01', { evacuate: { any: 'ask' } }), vmRule('db02', { evacuate: { any: 'stay' } })],
  }
  const snapshot = world(rules, { db01: 'blade01', db02: 'blade01', web01: 'blade01' })
  const head = { bladeName: 'blade01', cause: 'a test', id: 'p1', now: NIGHT }
  const left = (trigger: 'asked' | 'mirror-degraded') =>
    planEvacuation(snapshot, { ...head, trigger }).unplaced.flatMap(({ vm, reasons }) =>
      reasons.map(({ code, text }) => `${vm} ${code}: ${text}`),
    )
  assert.deepEqual(left('mirror-degraded'), [
    'db01 policy-ask: db01 waits for a person when blade01 is emptied for mirror-degraded: `lifeboat evacuate blade01` moves it',
    'db02 policy-stay: db02 is to stay when blade01 is emptied for mirror-degraded; `lifeboat vm migrate db02` moves it all the same',
  ])
  assert.deepEqual(left('asked'), [
    'db02 policy-stay: db02 is to stay when blade01 is emptied; `lifeboat vm migrate db02` moves it all the same',
  ])
})

const evacuated = (snapshot: FleetSnapshot) => {
  const head = { bladeName: 'blade01', cause: 'test', id: 'p1', now: NIGHT }
  const { moves, unplaced } = planEvacuation(snapshot, head)
  return {
    moves: moves.map(({ vm, to, needs }) => [vm, to, ...needs].join(' ')),
    unplaced: unplaced.map(each => each.vm),
  }
}

test('of VMs that are kept together none is to move where the others find no place', () => {
  const snapshot = fleet({
    blades: [{ name: 'blade01' }, { name: 'blade02' }],
    vms: [
      { name: 'front', blade: 'blade01', memoryGib: 30 },
      { name: 'back', blade: 'blade01', memoryGib: 28 },
      { name: 'other', blade: 'blade02', memoryGib: 20 },
    ],
    rules: { groups: [together(['front', 'back'])] },
  })
  assert.deepEqual(evacuated(snapshot), { moves: [], unplaced: ['front', 'back'] })
})

test('VMs that must be apart and are not leave one after the other where they would meet on the way', () => {
  const rules = {
    groups: [apart(['mx1', 'mx2'], { across: 'chassis' })],
    vms: [vmRule('mx1', { blades: ['blade11'] }), vmRule('mx2', { blades: ['blade02'] })],
  }
  const snapshot = world(rules, { mx1: 'blade01', mx2: 'blade01' })
  // Were both under way at once, mx2 would find mx1 in its chassis still, and be refused.
  assert.deepEqual(evacuated(snapshot), { moves: ['mx1 blade11', 'mx2 blade02 id-mx1'], unplaced: [] })
})
