import assert from 'node:assert/strict'
import { beforeEach, describe, it } from 'node:test'
import { keptLvName } from '../../../../agent/storage/kept-names.ts'
import type { VolumeInfo } from '../../../../agent/storage/volumes.ts'
import { createHostVolumes, type HostVolumes } from '../../../../agent/storage/volumes-host.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { createScriptedRunner } from '../../../fakes/scripted-runner.ts'
import { createFakeLvm, EXTENT_BYTES, type FakeLvm } from './fake-lvm.ts'

const MOVE = 'move-1'
const thick = (name: string, extents = 1): VolumeInfo => ({
  path: `/dev/vg0/${name}`,
  storage: 'thick',
  pool: 'vg0',
  sizeBytes: extents * EXTENT_BYTES,
  allocatedBytes: extents * EXTENT_BYTES,
  format: 'raw',
})
const thin = (name: string, extents = 1): VolumeInfo => ({
  ...thick(name, extents),
  storage: 'thin',
  pool: 'vg0/pool',
})

function volumesOf(lvm: FakeLvm, clock = createManualClock(1000)): HostVolumes {
  return createHostVolumes({ run: lvm.run, clock, log: silentLogger, directories: () => [] })
}

const codeOf = async (work: Promise<unknown>) => await work.then(() => 'no error', errorCode)

describe('LVs of a blade', () => {
  let lvm: FakeLvm
  let volumes: HostVolumes
  beforeEach(() => {
    lvm = createFakeLvm()
    volumes = volumesOf(lvm)
    lvm.add({ name: 'pool', attributes: 'twi-aotz--', sizeBytes: 20 * EXTENT_BYTES, dataPercent: '10.00' })
  })

  it('marks in the command that creates: no crash leaves an LV that is nobody’s', async () => {
    await volumes.create(thick('web01', 2), MOVE, lvm.run)
    await volumes.create(thin('db01', 3), MOVE, lvm.run)
    assert.deepEqual(lvm.changes(), [
      'lvcreate --yes --wipesignatures y --zero y --addtag lifeboat.move.move-1 --size 8388608b --name web01 vg0',
      'lvcreate --yes --addtag lifeboat.move.move-1 --virtualsize 12582912b --thinpool pool --name db01 vg0',
    ])
  })

  it('counts what is free, what is promised and what could be had back', async () => {
    lvm.add({
      name: 'web01',
      attributes: 'Vwi-a-tz--',
      pool: 'pool',
      sizeBytes: 15 * EXTENT_BYTES,
      dataPercent: '10.00',
    })
    lvm.add({
      ...{ name: 'lifeboat-kept.0.old', tags: ['lifeboat.kept.m', 'lifeboat.kept-since.5'] },
      sizeBytes: 7 * EXTENT_BYTES,
    })
    assert.deepEqual(await volumes.pools(), [
      {
        ...{ name: 'vg0', storage: 'thick', sizeBytes: 100 * EXTENT_BYTES },
        ...{ freeBytes: 73 * EXTENT_BYTES, reclaimableBytes: 7 * EXTENT_BYTES },
      },
      // 18 extents are unwritten, but 15 of the 20 are promised to web01.
      {
        ...{ name: 'vg0/pool', storage: 'thin', sizeBytes: 20 * EXTENT_BYTES },
        ...{ freeBytes: 5 * EXTENT_BYTES, reclaimableBytes: 0 },
      },
    ])
  })

  it('an over-committed pool has no room, and never less than none', async () => {
    lvm.add({
      name: 'big',
      attributes: 'Vwi-a-tz--',
      pool: 'pool',
      sizeBytes: 90 * EXTENT_BYTES,
      dataPercent: '1.00',
    })
    assert.equal((await volumes.pools())[1]?.freeBytes, 0)
  })

  it('asks LVM once for a whole inventory, and again after a change', async () => {
    await volumes.pools()
    await volumes.inspect(['/dev/vg0/web01'])
    await volumes.kept()
    assert.equal(lvm.run.callsOf('lvm', 'fullreport').length, 1)
    await volumes.create(thick('web01'), MOVE, lvm.run)
    await volumes.pools()
    assert.equal(lvm.run.callsOf('lvm', 'fullreport').length, 3)
  })

  it('knows an LV by both of its names, and tells why another path is none', async () => {
    lvm.add({ name: 'web-01', sizeBytes: EXTENT_BYTES })
    lvm.add({ name: 'snap', attributes: 'swi-a-s---', origin: 'web-01' })
    const seen = await volumes.inspect([
      ...[
        '/dev/vg0/web-01',
        '/dev/mapper/vg0-web--01',
        '/dev/vg0/gone',
        '/dev/vg0/snap',
        '/dev/sda',
        '/dev/vg0/pool',
      ],
    ])
    const told = [...seen.values()].map(info =>
      'error' in info ? info.code : `${info.storage} ${info.pool}`,
    )
    assert.deepEqual(told, [
      ...['thick vg0', 'thick vg0', 'disk-unreadable', 'disk-not-local', 'disk-not-local', 'disk-not-local'],
    ])
  })

  it('drops the oldest kept volumes for the room it needs, and not one more', async () => {
    lvm.add({ name: 'web01', sizeBytes: 70 * EXTENT_BYTES })
    for (const [name, since] of [
      ['b', 20],
      ['a', 10],
      ['c', 30],
    ] as const) {
      const tags = [`lifeboat.kept.${name}`, `lifeboat.kept-since.${since}`]
      lvm.add({ name: `lifeboat-kept.0.${name}`, tags, sizeBytes: 3 * EXTENT_BYTES })
    }
    // For what is only tried, none goes.
    const sparing = volumes.create(thick('db01', 6), MOVE, lvm.run, { sparesKept: true })
    assert.equal(await codeOf(sparing), 'refused')
    const dropped = await volumes.create(thick('db01', 6), MOVE, lvm.run)
    assert.deepEqual(dropped, ['/dev/vg0/lifeboat-kept.0.a', '/dev/vg0/lifeboat-kept.0.b'])
    assert.deepEqual(
      lvm.lvs.map(lv => lv.name),
      ['pool', 'web01', 'lifeboat-kept.0.c', 'db01'],
    )
  })

  it('makes room for what is no volume the same way: the oldest go, not one more, and none in vain', async () => {
    lvm.add({ name: 'web01', sizeBytes: 70 * EXTENT_BYTES })
    for (const [name, since] of [
      ['b', 20],
      ['a', 10],
    ] as const) {
      const tags = [`lifeboat.kept.${name}`, `lifeboat.kept-since.${since}`]
      lvm.add({ name: `lifeboat-kept.0.${name}`, tags, sizeBytes: 3 * EXTENT_BYTES })
    }
    const free = (await volumes.pools()).find(({ name }) => name === 'vg0')?.freeBytes ?? 0
    assert.deepEqual(await volumes.makeRoom(new Map([['vg0', free]]), lvm.run), [])
    assert.deepEqual(await volumes.makeRoom(new Map([['vg0', free + 7 * EXTENT_BYTES]]), lvm.run), [])
    assert.deepEqual(await volumes.makeRoom(new Map([['vg1', 1]]), lvm.run), [])
    // All or nothing, where more than one place lacks room.
    const both = new Map([
      ['vg0', free + EXTENT_BYTES],
      ['vg0/pool', 99 * EXTENT_BYTES],
    ])
    assert.deepEqual(await volumes.makeRoom(both, lvm.run), [])
    const dropped = await volumes.makeRoom(new Map([['vg0', free + EXTENT_BYTES]]), lvm.run)
    assert.deepEqual(dropped, ['/dev/vg0/lifeboat-kept.0.a'])
    assert.deepEqual(
      lvm.lvs.map(lv => lv.name),
      ['pool', 'web01', 'lifeboat-kept.0.b'],
    )
  })

  it('one that cannot be dropped is no room, and none goes before it in vain', async () => {
    lvm.add({ name: 'web01', sizeBytes: 72 * EXTENT_BYTES })
    for (const [name, since] of [
      ['a', 10],
      ['b', 20],
    ] as const) {
      const tags = [`lifeboat.kept.${name}`, `lifeboat.kept-since.${since}`]
      lvm.add({ name: `lifeboat-kept.0.${name}`, tags, sizeBytes: 3 * EXTENT_BYTES })
    }
    lvm.add({ name: 'look', attributes: 'swi-a-s---', origin: 'lifeboat-kept.0.b' })
    const vg0 = (await volumes.pools()).find(({ name }) => name === 'vg0')
    assert.equal(vg0?.reclaimableBytes, 3 * EXTENT_BYTES)
    const needed = (vg0?.freeBytes ?? 0) + 4 * EXTENT_BYTES
    assert.deepEqual(await volumes.makeRoom(new Map([['vg0', needed]]), lvm.run), [])
    assert.equal(await codeOf(volumes.create(thick('db01', 5), MOVE, lvm.run)), 'refused')
    assert.deepEqual(lvm.changes(), [])
  })

  it('in a thin pool a snapshot needs room, not what is promised to volumes', async () => {
    lvm.add({ name: 'web01', attributes: 'Vwi-a-tz--', pool: 'pool', sizeBytes: 15 * EXTENT_BYTES })
    for (const [name, since] of [
      ['a', 10],
      ['b', 20],
    ] as const) {
      const tags = [`lifeboat.kept.${name}`, `lifeboat.kept-since.${since}`]
      const kept = { name: `lifeboat-kept.0.${name}`, tags, attributes: 'Vwi-a-tz--', pool: 'pool' }
      lvm.add({ ...kept, sizeBytes: 2 * EXTENT_BYTES, dataPercent: '100.00' })
    }
    Object.assign(lvm.lvs.find(lv => lv.name === 'pool') ?? {}, { dataPercent: '90.00' })
    // 2 extents are free, and 1 when all that is promised is written.
    assert.deepEqual(await volumes.makeRoom(new Map([['vg0/pool', 4 * EXTENT_BYTES]]), lvm.run), [
      '/dev/vg0/lifeboat-kept.0.a',
    ])
  })

  it('two arrivals at once do not both count on the same kept volume', async () => {
    lvm.add({ name: 'web01', sizeBytes: 75 * EXTENT_BYTES })
    for (const name of ['a', 'b']) {
      lvm.add({
        name: `lifeboat-kept.0.${name}`,
        tags: [`lifeboat.kept.${name}`],
        sizeBytes: 2 * EXTENT_BYTES,
      })
    }
    const dropped = await Promise.all([
      volumes.create(thick('db01', 3), MOVE, lvm.run),
      volumes.create(thick('db02', 2), 'move-2', lvm.run),
    ])
    assert.deepEqual(dropped.flat().sort(), ['/dev/vg0/lifeboat-kept.0.a', '/dev/vg0/lifeboat-kept.0.b'])
  })

  it('refuses what LVM would round: QEMU mirrors only onto a disk of the same size', async () => {
    const odd = { ...thick('web01'), sizeBytes: EXTENT_BYTES + 512 }
    await assert.rejects(volumes.create(odd, MOVE, lvm.run), /not whole extents of vg0 \(4 MiB\)/)
    assert.deepEqual(lvm.changes(), [])
  })

  it('refuses pools it does not have', async () => {
    for (const volume of [
      { ...thick('web01'), path: '/dev/vg9/web01', pool: 'vg9' },
      { ...thick('web01'), pool: 'vg9' },
      { ...thin('web01'), pool: 'vg0/other' },
      { ...thin('web01'), pool: 'vg9/pool' },
      { ...thick('web01'), path: '/dev/mapper/vg9-web01' },
      { ...thick('web01'), path: '/dev/sdb' },
    ]) {
      assert.equal(await codeOf(volumes.create(volume, MOVE, lvm.run)), 'refused', JSON.stringify(volume))
    }
    assert.deepEqual(lvm.changes(), [])
  })

  it('an arrival cannot be adopted or kept on behalf of another move', async () => {
    await volumes.create(thick('web01'), MOVE, lvm.run)
    assert.equal(await codeOf(volumes.adopt('/dev/vg0/web01', 'move-2', lvm.run)), 'refused')
    assert.equal(await codeOf(volumes.keep('/dev/vg0/web01', 'move-2', lvm.run)), 'refused')
    assert.equal(await codeOf(volumes.adopt('/dev/vg0/gone', MOVE, lvm.run)), 'not-found')
  })

  it('never writes into a volume that was not made for a move', async () => {
    lvm.add({ name: 'web01' })
    const nothing = (async function* () {})()
    assert.equal(await codeOf(volumes.write('/dev/vg0/web01', nothing)), 'refused')
  })

  it('does not drop a kept volume together with somebody’s snapshot of it', async () => {
    lvm.add({ name: 'lifeboat-kept.0.web01', tags: ['lifeboat.kept.m'], attributes: 'owi-a-s---' })
    lvm.add({ name: 'mine', attributes: 'swi-a-s---', origin: 'lifeboat-kept.0.web01' })
    await assert.rejects(
      volumes.drop('/dev/vg0/lifeboat-kept.0.web01', lvm.run),
      /has a snapshot \/dev\/vg0\/mine/,
    )
  })

  it('a volume with a mark but under its own name is not taken for a kept one', async () => {
    lvm.add({ name: 'web01', tags: ['lifeboat.kept.m', 'lifeboat.was.web01'] })
    assert.deepEqual(await volumes.kept(), [])
    assert.equal(await codeOf(volumes.drop('/dev/vg0/web01', lvm.run)), 'refused')
  })
})

describe('an agent that dies while it keeps or gives back a volume', () => {
  for (let changes = 0; changes <= 2; changes += 1) {
    it(`goes on where it was: died after ${changes} of 2 changes`, async () => {
      const lvm = createFakeLvm()
      lvm.add({ name: 'web01' })
      await volumesOf(lvm)
        .keep('/dev/vg0/web01', MOVE, lvm.dieAfter(changes))
        .catch(() => undefined)
      const later = volumesOf(lvm, createManualClock(2000))
      const kept = await later.keep('/dev/vg0/web01', MOVE, lvm.run)
      assert.equal(kept, `/dev/vg0/${keptLvName('vg0', 'web01', MOVE)}`)
      assert.deepEqual(
        (await later.kept()).map(volume => volume.path),
        [kept],
      )

      await volumesOf(lvm)
        .unkeep('/dev/vg0/web01', MOVE, lvm.dieAfter(changes))
        .catch(() => undefined)
      await volumesOf(lvm).unkeep('/dev/vg0/web01', MOVE, lvm.run)
      assert.deepEqual(
        lvm.lvs.map(({ name, tags }) => ({ name, tags })),
        [{ name: 'web01', tags: [] }],
      )
    })
  }
})

describe('LVM that cannot be used', () => {
  const withReport = (stdout: string) => {
    const run = createScriptedRunner([{ argv: ['lvm', 'fullreport', '...'], stdout }])
    return createHostVolumes({ run, clock: createManualClock(), log: silentLogger, directories: () => [] })
  }

  it('a truncated report is one clear error, and the next look is a new one', async () => {
    const volumes = withReport('{"report":[{"lv":[{"vg_name":"vg0"')
    for (let look = 0; look < 2; look += 1) {
      await assert.rejects(volumes.pools(), {
        code: 'bad-tool-output',
        message: /^lvm fullreport printed 34 characters that are no whole JSON/,
      })
    }
  })

  it('without lvm2 the error says which package to install', async () => {
    const error = new LifeboatError('tool-missing', 'lvm is not installed: apt install lvm2')
    const run = createScriptedRunner([{ argv: ['lvm', '...'], error }])
    const volumes = createHostVolumes({
      run,
      clock: createManualClock(),
      log: silentLogger,
      directories: () => [],
    })
    await assert.rejects(volumes.pools(), thrown => {
      assert.equal(errorCode(thrown), 'tool-missing')
      assert.equal(formatErrorChain(thrown), 'failed to ask LVM: lvm is not installed: apt install lvm2')
      return true
    })
  })

  it('a command that fails is told in our words with LVM’s as the cause', async () => {
    const lvm = createFakeLvm()
    lvm.run.script([{ argv: ['lvcreate', '...'], exitCode: 5, stderr: '  device or resource busy' }])
    await assert.rejects(volumesOf(lvm).create(thick('web01'), MOVE, lvm.run), thrown => {
      assert.equal(
        formatErrorChain(thrown),
        'failed to create /dev/vg0/web01: lvcreate exited with 5: device or resource busy',
      )
      return true
    })
  })
})
