import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseCpuModels, parseDomain } from '../../../../agent/hypervisor/domain-xml.ts'
import { standingObstacles } from '../../../../agent/hypervisor/obstacles.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { errorCode } from '../../../../shared/errors.ts'
import { golden, goldenSections } from './support.ts'

function domainNamed(name: string) {
  const found = goldenSections('dumpxml-batch.txt')
    .map(parseDomain)
    .find(domain => domain.name === name)
  assert.ok(found, name)
  return found
}

function obstaclesOf(name: string): readonly string[] {
  return domainNamed(name).obstacles.map(({ code, text }) => `${code}: ${text}`)
}

describe('a libvirt definition', () => {
  it('of an ordinary VM: sizes, disks, networks, nothing in the way', () => {
    assert.deepEqual(domainNamed('web01'), {
      id: '11111111-2222-4333-8444-000000000001',
      name: 'web01',
      memoryBytes: 2 * GIB,
      vcpus: 2,
      machine: 'pc-q35-10.0',
      cpuModel: 'EPYC-Rome',
      disks: [
        { target: 'vda', path: '/dev/vg0/web01', format: 'raw' },
        { target: 'vdb', path: '/var/lib/libvirt/images/data & more.qcow2', format: 'qcow2' },
      ],
      networks: ['bridge:br0', 'network:default'],
      obstacles: [],
    })
  })

  it('of a running VM, as QEMU 10 and libvirt 11.3 show it: what is only there while it runs is no obstacle', () => {
    const db01 = goldenSections('qemu-11.3/dumpxml-batch.txt').map(parseDomain)[1]
    assert.deepEqual(db01?.obstacles, [])
    assert.deepEqual(db01?.disks, [
      { target: 'vda', path: '/dev/vg0/db01', format: 'raw' },
      { target: 'vdb', path: '/dev/vg0/db01-data', format: 'raw' },
    ])
    assert.equal(db01?.cpuModel, 'qemu64')
  })

  it('names each passed-through device and each medium of the blade', () => {
    assert.deepEqual(obstaclesOf("db 01 'old'"), [
      'host-cdrom: cdrom sda reads /iso/debian.iso of this blade: virsh change-media --eject',
      'host-cdrom: floppy fda reads /dev/fd0 of this blade: virsh change-media --eject',
      'passed-through-device: a pci device is passed through (domain 0x0000 bus 0x03 slot 0x00 function 0x0)',
      'passed-through-device: a usb device is passed through (vendor 0x1234 product 0xbeef)',
    ])
  })

  it('names each disk that cannot be copied, one by one', () => {
    assert.deepEqual(obstaclesOf('odd-disks'), [
      'disk-shared: disk vda is marked shareable',
      'vm-not-migratable: disk vdb is read-only, which libvirt does not copy',
      'disk-not-local: disk vdc has the format vmdk',
      'disk-not-local: disk vdd is of type network (pool/image)',
      'disk-not-local: disk vde is of type volume (vol1)',
      'disk-has-backing-file: disk vdf is an overlay of /srv/base.qcow2',
      'vm-not-migratable: disk vdg is transient, which libvirt does not copy',
    ])
    assert.deepEqual(domainNamed('odd-disks').networks, ['direct:bond0'])
  })

  it('has each disk among its disks or among what is in the way', () => {
    const text = goldenSections('dumpxml-batch.txt')[0]?.replace(
      '</devices>',
      "<disk type='file' device='disk'><source startupPolicy='optional' name='x'/><target dev='vdz'/></disk></devices>",
    )
    const { disks, obstacles } = parseDomain(text ?? '')
    assert.deepEqual(
      disks.map(disk => disk.target),
      ['vda', 'vdb'],
    )
    assert.deepEqual(obstacles, [{ code: 'disk-not-local', text: 'disk vdz has no path' }])
  })

  it('names what else is bound to the blade', () => {
    assert.deepEqual(obstaclesOf('bound'), [
      'passed-through-device: the directory /srv/share is passed through',
      'passed-through-device: the device /dev/ttyS0 is passed through as a port',
      'passed-through-device: the TPM of the blade is passed through',
      "passed-through-device: it shares memory 'shm0' with another process",
      'passed-through-device: network interface 52:54:00:00:00:05 is of type hostdev',
    ])
  })

  it('of a VM whose CPU follows the blade names the mode', () => {
    const xml = goldenSections('dumpxml-batch.txt')[0]?.replace(
      /<cpu .*<\/cpu>/s,
      "<cpu mode='host-passthrough'/>",
    )
    assert.equal(parseDomain(xml ?? '').cpuModel, 'host-passthrough')
  })

  it('that is broken, foreign or without memory is refused', () => {
    const whole = goldenSections('dumpxml-batch.txt')[0] ?? ''
    for (const text of ['', whole.slice(0, 300), '<network/>', whole.replace(/<memory .*<\/memory>/, '')]) {
      assert.throws(
        () => parseDomain(text),
        error => errorCode(error) === 'bad-tool-output',
      )
    }
  })
})

describe('the standing of a VM', () => {
  const free = { persistent: true, hasSnapshots: false, hasSavedMemory: false, nameFits: true }
  const codes = (name: string, standing: Partial<typeof free>) =>
    standingObstacles(name, { ...free, ...standing }).map(({ code }) => code)

  it('gives a reason for each thing that holds it', () => {
    assert.deepEqual(codes('web01', {}), [])
    assert.deepEqual(codes('../web', {}), ['vm-name-unsafe'])
    assert.deepEqual(codes('web01', { nameFits: false }), ['vm-name-unsafe'])
    assert.deepEqual(codes('web01', { persistent: false, hasSnapshots: true, hasSavedMemory: true }), [
      'vm-transient',
      'vm-has-snapshots',
      'vm-not-migratable',
    ])
  })
})

describe('domcapabilities', () => {
  it('lists modes and models, leaving out only what is clearly unusable', () => {
    const text = golden('qemu-11.3/domcapabilities.xml')
    assert.deepEqual(parseCpuModels(text), ['maximum', 'host-model', '486', 'qemu64', 'qemu64-v1'])
    assert.ok(text.includes("usable='no' vendor='AMD' canonical='EPYC-v1'>EPYC<"))
    const unknown = text.replace("usable='no' vendor='AMD'", "usable='unknown' vendor='AMD'")
    assert.ok(parseCpuModels(unknown).includes('EPYC'))
  })
})
