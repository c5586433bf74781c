import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseWrittenBytes } from '../../../../../agent/backup/lvm/diskstats-text.ts'
import { knownBad, upstreamVersion } from '../../../../../agent/backup/lvm/known-bad-kernels.ts'
import { mountOf, parseMountinfo, pathInside } from '../../../../../agent/backup/lvm/mountinfo-text.ts'
import { snapshotName } from '../../../../../agent/backup/lvm/names.ts'
import { readOwn } from '../../../../../agent/backup/lvm/own.ts'
import { judgeThick, thickSizes } from '../../../../../agent/backup/lvm/room.ts'
import { parseThinDelta } from '../../../../../agent/backup/lvm/thin-delta-text.ts'
import { createFakeBlade, MIB, volume } from './fake-blade.ts'

const GIB = 1024 * MIB
const group = (freeBytes: number) => ({ name: 'vg0', sizeBytes: 99 * GIB, freeBytes, extentBytes: 4 * MIB })
const need = (path: string, originBytes: number, writtenPerSecond: number) => ({
  path,
  originBytes,
  writtenPerSecond,
})

test('a classic snapshot gets room for what is written while it lives, with a floor and a share of what is free', () => {
  const [quiet] = thickSizes(group(10 * GIB), [need('a', 10 * GIB, 0)])
  const [busy] = thickSizes(group(10 * GIB), [need('a', 10 * GIB, 4 * MIB)])
  // 5 % of 10 GiB and a fifth of the rest; 4 MiB/s for 256 s, three times.
  assert.ok((quiet ?? 0) > 2.3 * GIB && (quiet ?? 0) < 2.5 * GIB, String(quiet))
  assert.ok((busy ?? 0) > 3 * GIB, String(busy))
  const [small] = thickSizes(group(10 * GIB), [need('a', 64 * MIB, 0)])
  assert.ok((small ?? 0) <= 76 * MIB, 'never more than it can use')
})

test('a group with too little room refuses with the numbers of each volume', () => {
  const needs = [need('/dev/vg0/a', 64 * MIB, 0), need('/dev/vg0/b', 64 * MIB, 100 * 1024)]
  assert.throws(() => thickSizes(group(40 * MIB), needs), {
    code: 'refused',
    message: 'vg0 has 40 MiB free, the snapshots need 52 MiB',
    details: ['/dev/vg0/a: 16 MiB, at 0 B/s written', '/dev/vg0/b: 36 MiB, at 100 KiB/s written'],
  })
})

test('a full snapshot is extended or dropped, never left to chance', () => {
  assert.deepEqual(
    [judgeThick(59, false, true), judgeThick(61, false, true), judgeThick(89, false, false)],
    ['well', 'extend', 'well'],
  )
  assert.deepEqual([judgeThick(90, false, false), judgeThick(20, true, true)], ['drop', 'drop'])
})

test('the list of bad kernels knows Debian kernels by what they really are', () => {
  const debian =
    'Linux version 6.1.0-17-amd64 (debian-kernel@lists.debian.org) #1 SMP Debian 6.1.69-1 (2023-12-30)'
  assert.equal(upstreamVersion(debian), '6.1.69')
  assert.equal(upstreamVersion('Linux version 5.3.18-lp152 (x)'), '5.3.18')
  assert.match(knownBad('5.3.18')?.why ?? '', /hang/)
  assert.deepEqual([knownBad('6.1.69'), knownBad('5.4.0'), knownBad('')], [undefined, undefined, undefined])
})

test('a kernel that is known to be bad is refused with the reason, and forced with the word', async () => {
  const blade = createFakeBlade()
  blade.files['/proc/version'] = 'Linux version 5.3.18 (x)'
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), {
    code: 'refused',
    message: /5\.3\.18/,
  })
  await blade.snapshots.plan(blade.request({ force: true }), blade.run)
})

test('a file of a bind mount is found inside the file system it lies on', () => {
  const mounts = parseMountinfo(
    [
      '22 1 8:1 / / rw - ext4 /dev/sda1 rw',
      '30 22 253:5 / /srv rw shared:1 - xfs /dev/mapper/vg0-images rw',
      '31 22 253:5 /vm\\040disks /var/lib/libvirt/images rw shared:1 - xfs /dev/mapper/vg0-images rw',
      'nonsense',
    ].join('\n'),
  )
  const mount = mountOf(mounts, '/var/lib/libvirt/images/a.qcow2')
  assert.equal(mount?.device, '253:5')
  assert.equal(mount && pathInside(mount, '/var/lib/libvirt/images/a.qcow2'), '/vm disks/a.qcow2')
  assert.equal(mountOf(mounts, '/srvx')?.directory, '/')
})

test('a thin pool that is nearly full takes no snapshot', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [volume('vda', '/dev/vg0/thin01', 'thin')] }
  Object.assign(blade.lvs.find(lv => lv.name === 'pool') ?? {}, { metadataPercent: '86.00' })
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), { code: 'refused', message: /86 %/ })
})

test('the bases of earlier nights go before a backup is refused for a full pool', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [volume('vda', '/dev/vg0/thin01', 'thin')] }
  const tags = [
    'lifeboat.snapshot',
    'lifeboat.backup.b0',
    'lifeboat.vm.other',
    'lifeboat.base.20261127T020512Z',
  ]
  const base = { name: 'lifeboat-b0-0', attributes: 'Vri---t--k', sizeBytes: 64 * MIB, pool: 'pool', tags }
  blade.lvs.push(base)
  const pool = blade.lvs.find(lv => lv.name === 'pool')
  Object.assign(pool ?? {}, { dataPercent: '95.00' })
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), { code: 'refused', message: /95 %/ })
  assert.ok(!blade.lvs.includes(base))
})

test('what is kept of VMs that moved goes before a backup is refused, and only then', async () => {
  const blade = createFakeBlade()
  const asked: [string, number][] = []
  blade.makeRoom = neededBytes => {
    asked.push(...neededBytes)
    blade.freeBytes = 100 * MIB
    return ['/dev/vg0/lifeboat-kept.0.db01']
  }
  await blade.snapshots.plan(blade.request(), blade.run)
  assert.deepEqual(asked, [], 'there is room')
  blade.freeBytes = 8 * MIB
  const dropped: string[] = []
  const plan = await blade.snapshots.plan(blade.request(), blade.run, path => dropped.push(path))
  assert.deepEqual(asked, [['vg0', 16 * MIB]])
  assert.deepEqual(dropped, ['/dev/vg0/lifeboat-kept.0.db01'], 'told, for nobody to look for it in vain')
  assert.ok((readOwn(plan).snapshots[0]?.roomBytes ?? 0) >= 16 * MIB)

  blade.freeBytes = 8 * MIB
  blade.makeRoom = () => []
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), {
    code: 'refused',
    message: /vg0 has 8 MiB free/,
  })
})

test('of a thin pool too, after the bases of earlier nights', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [volume('vda', '/dev/vg0/thin01', 'thin')] }
  const pool = blade.lvs.find(lv => lv.name === 'pool')
  Object.assign(pool ?? {}, { dataPercent: '95.00' })
  const asked: [string, number][] = []
  blade.makeRoom = neededBytes => {
    asked.push(...neededBytes)
    Object.assign(pool ?? {}, { dataPercent: '60.00' })
    return ['/dev/vg0/lifeboat-kept.0.db01']
  }
  await blade.snapshots.plan(blade.request(), blade.run)
  // 11 % of 384 MiB.
  assert.deepEqual(asked, [['vg0/pool', Math.ceil(0.11 * 384 * MIB)]])
})

test('for metadata no kept volume goes: what it would give back is not known', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [volume('vda', '/dev/vg0/thin01', 'thin')] }
  const pool = blade.lvs.find(lv => lv.name === 'pool')
  Object.assign(pool ?? {}, { dataPercent: '95.00', metadataPercent: '86.00' })
  const asked: string[] = []
  blade.makeRoom = neededBytes => {
    asked.push(...neededBytes.keys())
    return []
  }
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), { code: 'refused', message: /86 %/ })
  assert.deepEqual(asked, [])
})

test('for disks in two places room is asked for at once: none goes in one of them in vain', async () => {
  const blade = createFakeBlade()
  blade.vm = { ...blade.vm, volumes: [...blade.vm.volumes, volume('vdz', '/dev/vg0/thin01', 'thin')] }
  const pool = blade.lvs.find(lv => lv.name === 'pool')
  Object.assign(pool ?? {}, { dataPercent: '95.00' })
  blade.freeBytes = 8 * MIB
  const asked: string[][] = []
  blade.makeRoom = neededBytes => {
    asked.push([...neededBytes.keys()])
    return []
  }
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), { code: 'refused' })
  assert.deepEqual(asked, [['vg0/pool', 'vg0']])
})

test('a file that is not on an LV is refused while its VM runs, and read as it is while it is off', async t => {
  const blade = createFakeBlade()
  // Any file there is will do: only where it lies counts.
  const path = import.meta.filename
  t.diagnostic(path)
  blade.vm = { ...blade.vm, volumes: [volume('vda', path, 'file')] }
  await assert.rejects(blade.snapshots.plan(blade.request(), blade.run), {
    code: 'refused',
    message: /not on an LV/,
  })
  blade.guest.state = 'shut off'
  const plan = await blade.snapshots.plan(blade.request(), blade.run)
  const snapshot = await blade.snapshots.take(plan, blade.run)
  assert.deepEqual([snapshot.consistency, snapshot.sources[0]?.path], ['stopped', path])
  blade.guest.state = 'running'
  await assert.rejects(blade.snapshots.watch(plan, blade.run, new AbortController().signal), {
    code: 'unavailable',
    message: /was started/,
  })
  await assert.rejects(blade.snapshots.take(plan, blade.run), { code: 'refused' })
})

test('two files on one LV share its snapshot', async () => {
  const blade = createFakeBlade()
  const path = import.meta.filename
  blade.files['/proc/self/mountinfo'] = '22 1 253:0 / / rw - ext4 /dev/mapper/vg0-web01 rw\n'
  blade.files['/sys/dev/block/253:0/dm/uuid'] = 'LVM-abc\n'
  blade.files['/sys/dev/block/253:0/dm/name'] = 'vg0-web01\n'
  const other = new URL('./fake-blade.ts', import.meta.url).pathname
  blade.vm = { ...blade.vm, volumes: [volume('vda', path, 'file'), volume('vdb', other, 'file')] }
  const own = readOwn(await blade.snapshots.plan(blade.request(), blade.run))
  assert.deepEqual(
    [own.snapshots.length, own.sources.map(source => source.snapshot), own.sources[0]?.file],
    [1, [0, 0], path],
  )
})

test('names: what cannot stand in a tag or a name is refused before anything is made', () => {
  assert.equal(snapshotName('vg0', 'b1', 0), 'lifeboat-b1-0')
  assert.throws(() => snapshotName('vg0', 'b 1', 0), { code: 'bad-input' })
  assert.throws(() => snapshotName('v'.repeat(110), 'b1', 0), { code: 'refused' })
})

test('thin_delta: changed, new and discarded blocks are ranges in order; half an answer is none', () => {
  const head =
    '<superblock uuid="" time="1" transaction="1" data_block_size="128" nr_data_blocks="0">\n<diff left="1" right="2">\n'
  const body =
    '<different begin="0" length="1"/><right_only begin="1" data_begin="9" length="2"/><same begin="3" length="4"/><left_only begin="15" data_begin="1" length="5"/>\n'
  const tail = '</diff>\n</superblock>\n'
  const block = 64 * 1024
  assert.deepEqual(parseThinDelta(head + body + tail, MIB), [
    { fromBytes: 0, toBytes: 3 * block },
    { fromBytes: 15 * block, toBytes: 16 * block },
  ])
  assert.deepEqual(parseThinDelta(head + tail, MIB), [])
  for (const cut of [head + body, body, '']) {
    assert.throws(() => parseThinDelta(cut, MIB), { code: 'bad-tool-output' })
  }
})

test('diskstats count sectors of 512 bytes', () => {
  const text = ' 253       3 dm-3 100 0 800 10 50 0 2048 99 0 1 109\n'
  assert.equal(parseWrittenBytes(text).get('dm-3'), MIB)
})
