import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { adaptDomainXml } from '../../../../agent/hypervisor/adapt-definition.ts'
import { parseDomain } from '../../../../agent/hypervisor/domain-xml.ts'
import type { DefinitionChanges } from '../../../../agent/hypervisor/hypervisor.ts'
import { children, find, parseXmlRoot, textOf } from '../../../../agent/hypervisor/xml.ts'
import { guestXml } from '../../../lab/guest/fleet.ts'
import { GUESTS } from '../../../lab/settings.ts'
import { goldenSections } from './support.ts'

const CONSOLE = '/run/lifeboat/boot-test/77777777.console'
const FILES = new URL('../../../golden/definitions/', import.meta.url)
const read = (name: string): string => readFileSync(new URL(`${name}.xml`, FILES), 'utf8')

const BASE: DefinitionChanges = {
  id: '77777777-7777-4777-8777-777777777777',
  name: 'copy <2>',
  disks: new Map([
    ['vda', { path: '/dev/vg1/copy', format: 'raw' }],
    ['vdb', { path: '/var/lib/libvirt/images/copy.qcow2', format: 'qcow2' }],
  ]),
  newIdentity: true,
  isolated: false,
}
const LAB_DISKS = new Map([
  ['vda', { path: '/dev/vg0/copy', format: 'raw' }],
  ['vdb', { path: '/dev/vg0/copy-1', format: 'raw' }],
] as const)

for (const { golden, from, changes } of [
  { golden: 'desktop.restored', from: 'desktop', changes: BASE },
  { golden: 'desktop.boot-test', from: 'desktop', changes: { ...BASE, isolated: true } },
  { golden: 'greedy.restored', from: 'greedy', changes: BASE },
  { golden: 'greedy.boot-test', from: 'greedy', changes: { ...BASE, isolated: true } },
  { golden: 'lab.restored', from: 'lab', changes: { ...BASE, disks: LAB_DISKS } },
  { golden: 'lab.boot-test', from: 'lab', changes: { ...BASE, disks: LAB_DISKS, isolated: true } },
]) {
  test(`${from} becomes ${golden}`, () => {
    assert.equal(adaptDomainXml(read(from), changes, CONSOLE), read(golden))
  })
}

test('the guest of the lab is the one that the golden files are of', () => {
  const db01 = GUESTS.find(guest => guest.name === 'db01') ?? assert.fail('the lab has no db01')
  assert.equal(guestXml(db01).trim(), read('lab').trim())
})

test('as libvirt prints it, an isolated guest keeps its machine and boots from the same disks', () => {
  const dumped = goldenSections('qemu-11.3/dumpxml-batch.txt')[1] ?? ''
  const kept = (text: string) => {
    const domain = parseXmlRoot(text, 'domain')
    const devices = find(domain, 'devices')
    return {
      machine: ['memory', 'os', 'cpu', 'features', 'clock'].map(name => find(domain, name)),
      controllers: children(devices, 'controller').map(one => find(one, 'address')),
      disks: children(devices, 'disk').map(disk =>
        ['target', 'boot', 'address'].map(name => find(disk, name)),
      ),
      port: find(devices, 'serial', 'target'),
      emulator: textOf(find(devices, 'emulator')),
    }
  }
  const isolated = adaptDomainXml(dumped, { ...BASE, disks: LAB_DISKS, isolated: true }, CONSOLE)
  assert.deepEqual(kept(isolated), kept(dumped))
})

test('the same identity keeps MAC addresses and UEFI variables', () => {
  const text = adaptDomainXml(read('desktop'), { ...BASE, newIdentity: false }, CONSOLE)
  assert.match(text, /52:54:00:00:00:01/)
  assert.match(text, /desk_VARS\.fd/)
})

test('what comes out is read as the VM that was meant', () => {
  const vm = parseDomain(adaptDomainXml(read('desktop'), { ...BASE, isolated: true }, CONSOLE))
  assert.equal(vm.id, BASE.id)
  assert.equal(vm.name, BASE.name)
  assert.deepEqual(
    vm.disks.map(({ target, path, format }) => [target, path, format]),
    [
      ['vda', '/dev/vg1/copy', 'raw'],
      ['vdb', '/var/lib/libvirt/images/copy.qcow2', 'qcow2'],
    ],
  )
  assert.deepEqual(vm.networks, [])
  assert.deepEqual(vm.obstacles, [])
})

test('adapting twice is adapting once: a restored VM is backed up and restored again', () => {
  const once = adaptDomainXml(read('desktop'), BASE, CONSOLE)
  assert.equal(adaptDomainXml(once, BASE, CONSOLE), once)
})

test('a disk without a new place is refused: it would be the disk of the original', () => {
  const changes = { ...BASE, disks: new Map([['vda', { path: '/dev/vg1/copy', format: 'raw' }]] as const) }
  assert.throws(() => adaptDomainXml(read('desktop'), changes, CONSOLE), {
    code: 'bad-input',
    message: /vdb/,
  })
})

test('a VM without a serial line gets one', () => {
  const bare = read('lab').replace(/<serial.*<\/serial>/, '')
  const root = parseXmlRoot(
    adaptDomainXml(bare, { ...BASE, disks: LAB_DISKS, isolated: true }, CONSOLE),
    'domain',
  )
  assert.equal(find(root, 'devices', 'serial', 'source')?.['@path'], CONSOLE)
})

test('broken XML, and what is no domain, are refused', () => {
  for (const text of ['', 'nonsense', '<domain>', '<network/>']) {
    assert.throws(() => adaptDomainXml(text, BASE, CONSOLE), { code: 'bad-input' })
  }
})
