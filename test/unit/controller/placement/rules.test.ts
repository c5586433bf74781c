import assert from 'node:assert/strict'
import { test } from 'node:test'
import { whereaboutsOf } from '../../../../controller/placement/groups.ts'
import { roomsOf } from '../../../../controller/placement/room.ts'
import { ruleWords } from '../../../../controller/placement/rule-words.ts'
import {
  apartDomain,
  domainsOf,
  evacuationPolicy,
  type GroupRule,
  groupsOf,
  NO_RULES,
  type PlacementRules,
  ruleOf,
  snapshotReserveBytes,
} from '../../../../controller/placement/rules.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { fleet } from '../../../fakes/fleet-builder.ts'

const blade = (rest: Partial<Parameters<typeof domainsOf>[0]> = {}) => ({
  name: 'blade01',
  chassis: 'chassis1',
  feeds: ['feed-a', 'feed-b'],
  switches: ['switch-a'],
  ...rest,
})
const group = (name: string, vms: string[]): GroupRule => ({
  name,
  kind: 'apart',
  vms,
  across: 'blade',
  hard: true,
})
const withPolicy = (evacuate: PlacementRules['vms'][number]['evacuate']): PlacementRules => ({
  ...NO_RULES,
  vms: [{ vm: 'db01', priority: 3, blades: [], evacuate }],
})

test('what nobody said of a VM is the default, and a VM is in every group that names it', () => {
  assert.deepEqual(ruleOf(NO_RULES, 'db01'), { vm: 'db01', priority: 0, blades: [], evacuate: {} })
  assert.equal(ruleOf(withPolicy({}), 'db01').priority, 3)
  const groups = [group('mail', ['mx1', 'mx2']), group('front', ['mx1', 'web01'])]
  const rules = { ...NO_RULES, groups }
  assert.deepEqual(
    groupsOf(rules, 'mx1').map(each => each.name),
    ['mail', 'front'],
  )
  assert.deepEqual(groupsOf(rules, 'nobody'), [])
})

test('a blade on two feeds fails with neither; what is not known is no domain', () => {
  assert.deepEqual(domainsOf(blade(), 'blade'), ['blade01'])
  assert.deepEqual(domainsOf(blade(), 'chassis'), ['chassis1'])
  assert.deepEqual(domainsOf(blade(), 'feed'), [])
  assert.deepEqual(domainsOf(blade(), 'switch'), ['switch-a'])
  assert.deepEqual(domainsOf(blade({ feeds: ['feed-a', 'feed-a'] }), 'feed'), ['feed-a'])
  assert.deepEqual(domainsOf(blade({ chassis: '', feeds: [] }), 'chassis'), [])
})

test('VMs are never apart on one blade, whatever it survives', () => {
  assert.equal(apartDomain(blade(), 'feed'), 'blade blade01')
  assert.notEqual(apartDomain(blade(), 'feed'), apartDomain(blade({ name: 'blade02' }), 'feed'))
  const [one, other] = [blade({ feeds: ['feed-a'] }), blade({ name: 'blade02', feeds: ['feed-a'] })]
  assert.equal(apartDomain(one, 'feed'), apartDomain(other, 'feed'))
  // A chassis that is called like a feed is another thing.
  assert.notEqual(apartDomain(one, 'feed'), apartDomain(blade({ chassis: 'feed-a' }), 'chassis'))
})

test('the policy of the cause comes before that of any, and a person who asks has asked', () => {
  const { any, ...rest } = { any: 'ask', 'mirror-survivor-failing': 'live' } as const
  const rules = withPolicy({ any, ...rest })
  assert.equal(evacuationPolicy(rules, 'db01', 'mirror-degraded'), 'ask')
  assert.equal(evacuationPolicy(rules, 'db01', 'mirror-survivor-failing'), 'live')
  assert.equal(evacuationPolicy(rules, 'db01', 'asked'), 'live')
  assert.equal(evacuationPolicy(withPolicy({ any: 'stay' }), 'db01', 'asked'), 'stay')
  assert.equal(evacuationPolicy(withPolicy({ any: 'stay', asked: 'live' }), 'db01', 'asked'), 'live')
  assert.equal(evacuationPolicy(NO_RULES, 'db01', 'mirror-degraded'), 'live')
})

test('volume groups keep room for snapshots, of what they have not given to thin pools', () => {
  const rules = { ...NO_RULES, snapshotReserve: 0.05 }
  const group = { name: 'vg0', storage: 'thick', sizeBytes: 100 * GIB } as const
  const thin = { name: 'vg0/pool', storage: 'thin', sizeBytes: 60 * GIB } as const
  const other = { name: 'vg01/pool', storage: 'thin', sizeBytes: 60 * GIB } as const
  assert.equal(snapshotReserveBytes(rules, group, [group, other]), 5 * GIB)
  assert.equal(snapshotReserveBytes(rules, group, [group, thin]), 2 * GIB)
  assert.equal(snapshotReserveBytes(rules, thin, [group, thin]), 0)
  assert.equal(snapshotReserveBytes(NO_RULES, group, [group]), 0)
})

test('a VM on its way is looked for at both ends', () => {
  const reservation = { operation: 'o1', vmId: 'id-mx1', vmName: 'mx1', memoryBytes: GIB, volumes: [] }
  const where = whereaboutsOf(
    roomsOf(
      fleet({
        blades: [{ name: 'blade01' }, { name: 'blade02', reservations: [reservation] }],
        vms: [{ name: 'mx1', blade: 'blade01' }],
      }),
    ),
  )
  assert.deepEqual(
    where('mx1').map(each => each.blade.name),
    ['blade01', 'blade02'],
  )
  assert.deepEqual(where('nobody'), [])
})

test('what is wanted of a VM is said in words', () => {
  const groups = [group('mail', ['mx1', 'mx2', 'mx3']), { ...group('shop', ['mx1', 'db01']), hard: false }]
  const vms = [{ vm: 'mx1', priority: 7, blades: ['blade01', 'blade02'], evacuate: { any: 'ask' as const } }]
  const together = { ...group('site', ['mx1', 'web01']), kind: 'together' as const }
  assert.deepEqual(ruleWords({ ...NO_RULES, groups: [...groups, together], vms }, 'mx1'), [
    "rule 'mail': apart from mx2, mx3, across blade",
    "rule 'shop': apart from db01, across blade (a wish)",
    "rule 'site': together with web01",
    'it may only be on blade01, blade02',
    'its priority is 7, where others have 0',
    'when its blade is emptied: ask for any',
  ])
  assert.deepEqual(ruleWords(NO_RULES, 'mx1'), [])
})
