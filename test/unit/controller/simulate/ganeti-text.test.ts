import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planEvacuation } from '../../../../controller/placement/make-plan.ts'
import { readGaneti } from '../../../../controller/simulate/ganeti-text.ts'
import { GIB, MIB } from '../../../../shared/domain/units.ts'
import { LifeboatError } from '../../../../shared/errors.ts'

/** node, memory, own, free, disk, free disk, offline; 1 GiB of its own. */
const node = (name: string, free: number, rest: { disk?: number; offline?: string; group?: string } = {}) =>
  `${name}|65536|1024|${free}|4194304|${rest.disk ?? 4194304}|32|${rest.offline ?? 'N'}|${rest.group ?? 'g1'}|1||N|0|1|1.0`
const instance = (
  name: string,
  at: string,
  memory: number,
  rest: { disk?: number; status?: string; tags?: string } = {},
) => `${name}|${memory}|${rest.disk ?? 0}|1|${rest.status ?? 'running'}|Y|${at}||ext|${rest.tags ?? ''}|1|-`

interface Sketch {
  readonly groups?: readonly string[]
  readonly nodes: readonly string[]
  readonly instances?: readonly string[]
  readonly tags?: readonly string[]
  readonly policies?: readonly string[]
}

function cluster({
  groups = ['default|g1|preferred||'],
  nodes,
  instances = [],
  tags = [],
  policies = [],
}: Sketch): string {
  return [groups, nodes, instances, tags, policies]
    .map(lines => lines.map(line => `${line}\n`).join(''))
    .join('\n')
}

function problemsOf(text: string): readonly string[] {
  try {
    readGaneti(text)
  } catch (error) {
    assert.ok(error instanceof LifeboatError && error.code === 'bad-input')
    return error.details
  }
  return []
}

test('a cluster becomes a fleet: memory beside what is neither free nor of an instance, one pool of disk', () => {
  const fleet = readGaneti(
    cluster({
      nodes: [node('node1', 32768, { disk: 4000000 }), node('node2', 63488, { offline: 'Y' })],
      instances: [instance('web', 'node1', 8192, { disk: 10240 }), instance('db', 'node2', 1024)],
      policies: ['|1,1,1,1,1,1|1,1,1,1,1,1;9,9,9,9,9,9|ext|4.0|32.0'],
    }),
  )
  const [first, second] = fleet.blades
  assert.equal(first?.capacity?.memoryBytes, 64 * GIB)
  // 64 GiB less the 32 that are free and the 8 of the instance: the node keeps more than the 1 GiB it admits.
  assert.equal(first?.capacity?.reservedMemoryBytes, 24 * GIB)
  assert.deepEqual(first?.capacity?.pools, [
    {
      name: 'disk',
      storage: 'thick',
      sizeBytes: 4194304 * MIB,
      freeBytes: 4000000 * MIB,
      reclaimableBytes: 0,
    },
  ])
  assert.equal(first?.admin, 'in-service')
  assert.equal(second?.admin, 'cordoned')
  assert.equal(fleet.rules.vcpuRatio, 4)
  // No limit on VMs: as many as there are.
  assert.equal(first?.maxVms, 2)
  assert.equal(readGaneti(cluster({ nodes: [node('a', 1)] }), { maxVms: 4 }).blades[0]?.maxVms, 4)
})

test('a drained node can be emptied, and takes nothing', () => {
  const fleet = readGaneti(
    cluster({
      nodes: [
        node('node1', 55296, { offline: 'Y' }),
        node('node2', 64512, { offline: 'Y' }),
        node('node3', 60000),
      ],
      instances: [instance('web', 'node1', 9216)],
    }),
  )
  const plan = planEvacuation(fleet, { bladeName: 'node1', cause: 'test', id: '', now: 0 })
  assert.deepEqual(
    plan.moves.map(move => `${move.vm} ${move.to} ${move.method}`),
    ['web node3 live'],
  )
})

test('instances that are down are copied, those in doubt stay', () => {
  const states = ['ADMIN_down', 'ERROR_down', 'ERROR_up', 'ERROR_wrongnode']
  const fleet = readGaneti(
    cluster({
      nodes: [node('node1', 60000, { offline: 'Y' }), node('node2', 64512)],
      instances: states.map((status, index) => instance(`vm${index}`, 'node1', 1024, { status })),
    }),
  )
  const plan = planEvacuation(fleet, { bladeName: 'node1', cause: 'test', id: '', now: 0 })
  assert.deepEqual(plan.moves.map(move => `${move.vm} ${move.method}`).sort(), [
    'vm0 cold',
    'vm1 cold',
    'vm2 live',
  ])
  assert.deepEqual(
    plan.unplaced.map(vm => vm.vm),
    ['vm3'],
  )
})

test('instances stay in their group, and exclusion tags keep them apart', () => {
  const fleet = readGaneti(
    cluster({
      groups: ['default|g1|preferred||', 'lab|g2|last_resort||'],
      nodes: [
        node('node1', 50000, { offline: 'Y' }),
        node('node2', 64512),
        node('node3', 50000),
        node('node4', 64512, { group: 'g2' }),
      ],
      instances: [
        instance('mx1', 'node1', 1024, { tags: 'service:mail,other:x' }),
        instance('mx2', 'node2', 1024, { tags: 'service:mail' }),
        instance('web', 'node1', 1024, { tags: 'other:x' }),
      ],
      tags: ['htools:iextags:service'],
    }),
  )
  assert.deepEqual(
    fleet.rules.groups.map(group => [group.name, group.vms]),
    [['service:mail', ['mx1', 'mx2']]],
  )
  const plan = planEvacuation(fleet, { bladeName: 'node1', cause: 'test', id: '', now: 0 })
  assert.equal(plan.moves.find(move => move.vm === 'mx1')?.to, 'node3')
  assert.ok(plan.moves.every(move => move.to !== 'node4'))
})

test('what leaves gives back no more disk than its node has in use', () => {
  const fleet = readGaneti(
    cluster({
      nodes: [node('node1', 60000, { disk: 4194304 - 15000 }), node('node2', 64512)],
      instances: [
        instance('a', 'node1', 1024, { disk: 10000 }),
        instance('b', 'node1', 1024, { disk: 10000 }),
      ],
    }),
  )
  assert.deepEqual(
    fleet.vms.map(vm => (vm.volumes[0]?.allocatedBytes ?? 0) / MIB),
    [10000, 5000],
  )
})

test('a node of which nothing is known takes nothing, and nothing is planned on it', () => {
  const fleet = readGaneti(
    cluster({
      nodes: ['node1|?|?|?|?|?|?|N|g1', node('node2', 64512)],
      instances: [instance('a', 'node1', 1024)],
    }),
  )
  const plan = planEvacuation(fleet, { bladeName: 'node1', cause: 'test', id: '', now: 0 })
  assert.equal(plan.unplaced[0]?.reasons[0]?.code, 'facts-stale')
})

test('every problem is told, with its line', () => {
  const text = cluster({
    groups: ['default|g1|preferred||', 'default|g1|sometimes||'],
    nodes: [
      node('node1', -5),
      node('node1', 1024),
      node('node2', 70000, { group: 'g9', offline: 'x' }),
      'node3|65536|1024',
      'node4|1024|2048|0|1000|2000|4|N|g1',
    ],
    instances: [
      instance('a', 'node9', 1024),
      instance('b', 'node1', 60000),
      instance('c', 'node1', 60000),
      instance('a', 'node2', 1024, { disk: 1024 ** 3, status: 'asleep' }),
      'd|many|0|1|running|Y|node2||paper||1',
      'e|1|900|1|ADMIN_down|Y|node4||plain||1',
      'f|1|900|1|ADMIN_down|Y|node4||plain||1',
    ],
    policies: ['nobody|1|2|ext|0|1'],
  })
  assert.deepEqual(problemsOf(text), [
    'line 2: group default has the uuid g1, which another group has',
    'line 2: group default is there twice',
    "line 2: group default has the policy 'sometimes', not preferred, last_resort or unallocable",
    'line 4: node node1 has the free memory -5, which is below zero',
    "line 6: node node2 says 'x' to being offline, not N, Y or M",
    'line 6: node node2 is in a group that is not there: g9',
    'line 7: node node3 has 3 fields, 9 are the least: the line is cut short',
    'line 5: node node1 is there twice: names of nodes must differ',
    "line 10: instance a is on a node that is not there: 'node9'",
    "line 13: instance a has the unknown state 'asleep'",
    'line 13: instance a has the disk 1073741824 MiB; more than 512 TiB is taken for a mistake',
    "line 14: instance d has the unknown disk template 'paper'",
    "line 14: instance d has the memory 'many', which is not a number",
    'line 13: instance a is there twice: names of instances must differ',
    'line 4: node node1 has 63 GiB of memory beside its own, and its instances use 117.2 GiB',
    'line 6: node node2 has 68.4 GiB of memory free, of 64 GiB in all',
    'line 8: node node4 uses 2 GiB of 1 GiB itself',
    'line 8: node node4 has 2.0 GiB of disk free, of 1000 MiB in all',
    'line 8: node node4 has 1000 MiB of disk, and its instances have 1.8 GiB on it',
    "line 19: policy has the vCPU ratio '0', which is not above zero",
  ])
})

test('a file that ends too early is refused, whatever it still has', () => {
  const text = cluster({ nodes: [node('node1', 1024)], instances: [instance('a', 'node1', 1024)] })
  for (const end of [5, 40, text.indexOf('a|1024') + 8]) {
    assert.ok(problemsOf(text.slice(0, end)).length > 0, `cut at ${end}`)
  }
  assert.deepEqual(problemsOf(text.replaceAll('\n', '\r\n')), [])
})

test('what is no such text at all is one short error, not a problem for each of its lines', () => {
  const none =
    "whole file: is not the text of Ganeti's htools, where a group or node is a line with | between its fields"
  for (const text of ['', 'hello\n', '# Title\na||b||c\n\nOne | two\n', 'a|b|c|d\n\u0000\n'])
    assert.deepEqual(problemsOf(text), [none])
  assert.deepEqual(problemsOf('{\n"a": "b || c || d" }'), [`${none}; JSON is read with --format lifeboat`])
  // One line that is cut short makes no other file of it.
  const cut = cluster({ nodes: [node('node1', 1024).slice(0, 12), node('node2', 1024)] })
  assert.match(problemsOf(cut).join(), /^line 3: node node1 has \d fields, 9 are the least/)
})
