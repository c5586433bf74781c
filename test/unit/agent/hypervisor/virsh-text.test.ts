import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  eventEffect,
  isPausedByMigration,
  parseAutostart,
  parseDomainList,
  parseDomainStates,
  parseEventLine,
  parseIdList,
  parseNetworkNames,
  parseNodeInfo,
  parseVersion,
  toVmState,
} from '../../../../agent/hypervisor/virsh-text.ts'
import { errorCode } from '../../../../shared/errors.ts'
import { golden, goldenSections } from './support.ts'

describe('virsh text', () => {
  const [domains = '', transient = '', , , states = ''] = goldenSections('inventory-batch.txt')

  it('a list gives ids and names, with blanks and quotes in them', () => {
    const list = parseDomainList(domains)
    assert.equal(list.length, 6)
    assert.deepEqual(list[0], { id: '11111111-2222-4333-8444-000000000001', name: 'web01' })
    assert.deepEqual(list[1], { id: '11111111-2222-4333-8444-000000000002', name: "db 01 'old'" })
  })

  it('a list of ids gives a set', () => {
    assert.deepEqual([...parseIdList(transient)], ['11111111-2222-4333-8444-000000000005'])
    assert.equal(parseIdList('\n').size, 0)
  })

  it('domstats gives every state by name', () => {
    const map = parseDomainStates(states)
    assert.equal(map.size, 6)
    assert.deepEqual(map.get("db 01 'old'"), { state: 3, reason: 0 })
    assert.deepEqual(map.get('bound'), { state: 5, reason: 0 })
  })

  it('text cut in the middle of a line is refused, not guessed', () => {
    for (const parse of [
      () => parseDomainList(domains.slice(0, 30)),
      () => parseIdList(transient.slice(0, 20)),
      () => parseDomainStates(states.slice(0, states.indexOf('state.state='))),
      () => parseNodeInfo('CPU(s):              8\nMemory si'),
      () => parseVersion('Using library: libvirt 11.3.0\n'),
      () => parseAutostart('Id:             1\n'),
    ]) {
      assert.throws(parse, error => errorCode(error) === 'bad-tool-output')
    }
  })

  it('states and their reasons become ours', () => {
    const cases = [
      [1, 1, 'running'],
      [2, 0, 'running'],
      [3, 1, 'paused'],
      [3, 2, 'paused'],
      [3, 10, 'crashed'],
      [4, 1, 'running'],
      [5, 1, 'stopped'],
      [5, 3, 'crashed'],
      [5, 4, 'stopped'],
      [6, 1, 'crashed'],
      [7, 0, 'paused'],
      [0, 0, 'unknown'],
      [99, 0, 'unknown'],
    ] as const
    for (const [state, reason, expected] of cases) {
      assert.equal(toVmState({ state, reason }), expected, `state ${state} reason ${reason}`)
    }
  })

  it('capacity: memory in bytes, CPUs, version, networks', () => {
    const [networks = '', nodeInfo = '', version = ''] = goldenSections('capacity-batch.txt')
    assert.deepEqual(parseNodeInfo(nodeInfo), { memoryBytes: 16_384_000 * 1024, cpus: 8 })
    assert.equal(parseVersion(version), 'TEST 0.0.2, libvirt 9.0.0')
    assert.deepEqual(parseNetworkNames(networks), ['default'])
  })

  it('dominfo tells autostart', () => {
    assert.equal(parseAutostart(golden('dominfo.txt')), false)
    assert.equal(parseAutostart(golden('dominfo-autostart.txt')), true)
  })

  const effectsOf = (name: string) =>
    golden(name)
      .split('\n')
      .flatMap(line => {
        const event = parseEventLine(line)
        return event === undefined
          ? []
          : [`${event.name}: ${event.kind} ${event.detail} => ${eventEffect(event)}`]
      })
      .filter(line => !line.endsWith('=> none'))

  it('of all that libvirt says of a migration, the inventory looks once: when the VM is off', () => {
    assert.deepEqual(effectsOf('qemu-11.3/events.txt'), [
      'web01: lifecycle Defined Updated => definition',
      'web01: lifecycle Suspended Paused => state',
      'web01: lifecycle Resumed Unpaused => state',
      'web01: block-job Block Copy for /dev/vg0/web01 ready => later',
      'web01: block-job Block Copy for /dev/vg0/web01 completed => later',
      'web01: lifecycle Stopped Migrated => state',
    ])
  })

  it('devices that come and go change the definition; clocks and balloons change nothing', () => {
    assert.deepEqual(effectsOf('events-other.txt'), [
      'web01: lifecycle Defined Added => definition',
      'web01: lifecycle Started Booted => definition',
      "db 01 'old': lifecycle Stopped Migrated => state",
      'web01: device-added virtio-disk1 => definition',
      'web01: tray-change  => definition',
      'web01: disk-change  => definition',
      'web01: block-job Copy for /dev/vg0/web01 ready => later',
      'web01: lifecycle Undefined Removed => definition',
    ])
  })

  it('an incoming VM is paused by its migration', () => {
    const state = parseDomainStates(golden('qemu-11.3/state-incoming.txt')).get('web01')
    assert.ok(state)
    assert.equal(toVmState(state), 'paused')
    assert.equal(isPausedByMigration(state), true)
  })

  it('reads what virsh 11.3 printed as well', () => {
    const [list = '', , , , stats = ''] = goldenSections('qemu-11.3/inventory-batch.txt')
    const byName = parseDomainStates(stats)
    assert.deepEqual(
      parseDomainList(list).map(({ name }) => [name, byName.get(name)]),
      [
        ['mail01', { state: 1, reason: 1 }],
        ['db01', { state: 1, reason: 1 }],
        ['web01', { state: 5, reason: 4 }],
      ],
    )
    const [networks = '', nodeInfo = '', version = ''] = goldenSections('qemu-11.3/capacity-batch.txt')
    assert.deepEqual(parseNetworkNames(networks), [])
    assert.equal(parseNodeInfo(nodeInfo).cpus, 1)
    assert.equal(parseVersion(version), 'QEMU 10.0.13, libvirt 11.3.0')
    assert.equal(parseAutostart(golden('qemu-11.3/dominfo.txt')), false)
  })
})
