import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  canDetectZeroes,
  isOutgoingMigration,
  migrateWords,
  parseJobInfo,
  progressOf,
  statisticsOf,
} from '../../../../agent/hypervisor/migration.ts'
import { incomingSockets, outgoingSockets, socketNameFits } from '../../../../agent/hypervisor/sockets.ts'
import { errorCode } from '../../../../shared/errors.ts'
import { golden } from './support.ts'

const ID = '11111111-2222-4333-8444-000000000001'
const MOVE = '7b0d1c52-3c11-4f1e-9e0a-52d5c1a0aa01'
const DIRECTORY = '/run/libvirt/lifeboat'

describe('the command of a migration', () => {
  const words = migrateWords(
    'qemu:///system',
    ID,
    {
      control: '/run/c',
      memory: "/run/m.db 01 'old'%",
      disk: '/run/d',
    },
    ['vda', 'vdb'],
  )

  it('leaves the target paused and the source defined', () => {
    assert.ok(words.includes('--suspend'))
    assert.ok(words.includes('--persistent'))
    assert.ok(!words.includes('--undefinesource'))
  })

  it('has zeroes detected on the disks where libvirt can, and says nothing of it where it cannot', () => {
    assert.equal(words[words.indexOf('--migrate-disks-detect-zeroes') + 1], 'vda,vdb')
    const sockets = { control: '/run/c', memory: '/run/m', disk: '/run/d' }
    assert.ok(!migrateWords('qemu:///system', ID, sockets, []).includes('--migrate-disks-detect-zeroes'))
    for (const version of ['11.3.0\n', '10.9.0', '10.10.0'])
      assert.equal(canDetectZeroes(version), true, version)
    for (const version of ['9.0.0', '10.8.0', '', 'unknown'])
      assert.equal(canDetectZeroes(version), false, version)
  })

  it('goes through the sockets only, whatever the name of the VM', () => {
    assert.equal(words[words.indexOf('--desturi') + 1], 'qemu+unix:///system?socket=/run/c')
    assert.equal(words[words.indexOf('--migrateuri') + 1], "unix:///run/m.db%2001%20'old'%25")
    assert.equal(words[words.indexOf('--disks-uri') + 1], 'unix:///run/d')
  })
})

describe('the sockets of a migration', () => {
  it('of QEMU end as the AppArmor profile of the VM demands', () => {
    const { memory, disk } = incomingSockets(DIRECTORY, 'web01', MOVE)
    for (const path of [memory, disk]) {
      assert.match(path, /^\/run\/libvirt\/lifeboat\/moves\/[0-9a-f]{10}[md]\.tunnelmigrate\.dest\.web01$/)
    }
    assert.notEqual(memory, disk)
  })

  it('are the same at both ends for memory and disks, because libvirt knows one path for each', () => {
    const outgoing = outgoingSockets(DIRECTORY, 'web01', MOVE)
    const incoming = incomingSockets(DIRECTORY, 'web01', MOVE)
    assert.equal(outgoing.memory, incoming.memory)
    assert.equal(outgoing.disk, incoming.disk)
    assert.notEqual(outgoing.control, incoming.control)
  })

  it('fit into a UNIX address for every name, and differ by move and by VM', () => {
    const names = ['a', 'web01', 'x'.repeat(200), 'ü'.repeat(100)]
    const paths = names.flatMap(name =>
      [MOVE, 'another'].flatMap(move => [...Object.values(outgoingSockets(DIRECTORY, name, move))]),
    )
    assert.equal(new Set(paths).size, paths.length)
    for (const path of paths) assert.ok(Buffer.byteLength(path) <= 107, path)
  })

  it('tell which names are too long to stand in them', () => {
    assert.equal(socketNameFits(DIRECTORY, 'x'.repeat(40)), true)
    assert.equal(socketNameFits(DIRECTORY, 'x'.repeat(60)), false)
  })
})

describe('job information', () => {
  it('of a running migration gives progress', () => {
    const job = parseJobInfo(golden('qemu-11.3/domjobinfo-active.txt'))
    assert.equal(isOutgoingMigration(job), true)
    assert.deepEqual(progressOf(job), { doneBytes: 14_680_064, totalBytes: 67_239_936 })
    assert.equal(statisticsOf(job, 1000), undefined)
  })

  it('of a backup is no migration', () => {
    const job = parseJobInfo('Job type: 2\n\noperation: 9\ntime_elapsed: 10\n')
    assert.equal(isOutgoingMigration(job), false)
  })

  it('of a VM without a job is none, in both spellings of libvirt', () => {
    assert.equal(parseJobInfo('Job type: 0\n\n').phase, 'none')
    assert.equal(parseJobInfo('Job type:         None        \n').phase, 'none')
  })

  it('of a completed migration gives the downtime', () => {
    const job = parseJobInfo(golden('qemu-11.3/domjobinfo-completed.txt'))
    assert.deepEqual(statisticsOf(job, 30_683), {
      downtimeMs: 1286,
      transferredBytes: 68_313_914,
      durationMs: 30_683,
    })
  })

  it('of another job that ended is not taken for it', () => {
    const incoming = golden('qemu-11.3/domjobinfo-completed.txt').replace('operation: 5', 'operation: 4')
    assert.equal(statisticsOf(parseJobInfo(incoming), 30_683), undefined)
  })

  it('of two blades with different clocks does not count the clocks as downtime', () => {
    const skewed = golden('qemu-11.3/domjobinfo-completed.txt').replace('downtime: 1286', 'downtime: 46286')
    assert.equal(statisticsOf(parseJobInfo(skewed), 30_683)?.downtimeMs, 1098)
  })

  it('that cannot be read is refused', () => {
    assert.throws(
      () => parseJobInfo('Job ty'),
      error => errorCode(error) === 'bad-tool-output',
    )
  })
})
