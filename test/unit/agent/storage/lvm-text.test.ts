import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lvOfPath, parsePoolName } from '../../../../agent/storage/lvm-names.ts'
import { lvmPools, writtenBytes } from '../../../../agent/storage/lvm-room.ts'
import {
  lvStorage,
  parseChunkBytes,
  parseLvs,
  parseVgs,
  zeroesNewChunks,
} from '../../../../agent/storage/lvm-text.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { goldenText } from '../health/golden-files.ts'

const LVS = goldenText('lvm/lvs.txt')
const VGS = goldenText('lvm/vgs.txt')

describe('LVM reports', () => {
  it('reads every line of a captured report', () => {
    assert.deepEqual(
      parseLvs(LVS).map(lv => `${lv.name} ${lvStorage(lv) ?? 'none'} ${lv.sizeBytes / MIB} ${lv.minor}`),
      [
        ...[
          'db01 thin 32 7',
          'db01-snap thin 32 -1',
          'lifeboat-kept.0a1b2c3d.old01 thick 8 12',
          'mail01 thin 16 11',
        ],
        ...['off01 thick 8 -1', 'pool none 200 4', 'web01 thick 16 5', 'web01-snap none 8 10'],
      ],
    )
    assert.deepEqual(parseVgs(VGS), [
      { name: 'vg0', sizeBytes: 729808896, freeBytes: parseVgs(VGS)[0]?.freeBytes, extentBytes: 4 * MIB },
    ])
    assert.equal(parseChunkBytes(goldenText('lvm/lvs-chunk.txt')), 65536)
  })

  it('keeps tags apart and knows what is written of a thin volume', () => {
    const [db01, , kept] = parseLvs(LVS)
    assert.deepEqual(kept?.tags, [
      'lifeboat.kept-since.1700000000000',
      'lifeboat.kept.m1',
      'lifeboat.was.old01',
    ])
    assert.deepEqual(db01?.tags, [])
    assert.equal(db01 && writtenBytes(db01), Math.ceil(32 * MIB * 0.1562))
    assert.equal(db01 && zeroesNewChunks(db01), true)
  })

  it('counts the pools of the captured host', () => {
    const pools = lvmPools({ volumes: parseLvs(LVS), groups: parseVgs(VGS) })
    assert.deepEqual(
      pools.map(
        pool =>
          `${pool.storage} ${pool.name} ${pool.sizeBytes / MIB} free ${pool.freeBytes / MIB} + ${pool.reclaimableBytes / MIB}`,
      ),
      // 200 MiB less 32 (db01), 32 (its snapshot) and 16 (mail01).
      [
        `thick vg0 696 free ${(parseVgs(VGS)[0]?.freeBytes ?? 0) / MIB} + 8`,
        'thin vg0/pool 200 free 120 + 0',
      ],
    )
  })

  it('a report cut anywhere is bad output, never half a list', () => {
    const whole = LVS.trimEnd()
    for (let length = 0; length < whole.length; length += 1) {
      assert.throws(() => parseLvs(whole.slice(0, length)), { code: 'bad-tool-output' }, `cut at ${length}`)
    }
  })

  it('a report of another shape is bad output that says where', () => {
    const other = LVS.replace('"lv_size":"33554432"', '"lv_size":"32.00m"')
    assert.throws(
      () => parseLvs(other),
      (error: { code?: string; details?: string[] }) => {
        assert.equal(error.code, 'bad-tool-output')
        assert.match(error.details?.[0] ?? '', /^report\.0\.lv\.0\.lv_size: /)
        return true
      },
    )
    for (const text of ['null', '[]', '{}', '{"report":[]}', '{"report":[{"vg":[]}]}']) {
      assert.throws(() => parseLvs(text), { code: 'bad-tool-output' }, text)
    }
  })

  it('tells disks of VMs from everything else LVM lists', () => {
    const kinds: Record<string, string | undefined> = {
      ...{ '-wi-ao----': 'thick', 'owi-aos---': 'thick', 'rwi-a-r---': 'thick', 'Vwi-aotz--': 'thin' },
      ...{ 'Vwi---tz-k': 'thin', 'twi-aotz--': undefined, 'swi-a-s---': undefined, 'Cwi---C---': undefined },
      ...{ 'vwi-a-v---': undefined, 'dwi-------': undefined },
    }
    const lv = { ...parseLvs(LVS)[4], origin: '' }
    for (const [attributes, storage] of Object.entries(kinds)) {
      assert.equal(lvStorage({ ...lv, attributes } as never), storage, attributes)
    }
    assert.equal(lvStorage({ ...lv, attributes: 'Cwi-aoC---', origin: '[web01_corig]' } as never), 'thick')
  })
})

describe('names of LVs', () => {
  it('are read from both forms of path', () => {
    assert.deepEqual(lvOfPath('/dev/vg0/web01'), { group: 'vg0', name: 'web01' })
    assert.deepEqual(lvOfPath('/dev/mapper/vg0-web01'), { group: 'vg0', name: 'web01' })
    assert.deepEqual(lvOfPath('/dev/mapper/my--vg-web--01--data'), { group: 'my-vg', name: 'web-01-data' })
  })

  it('and from nothing that could leave /dev or become an option', () => {
    for (const path of [
      ...[
        '/dev/dm-3',
        '/dev/sda',
        '/dev/disk/by-id/x',
        '/dev/vg0/../../etc/passwd',
        '/dev/vg0/',
        '/dev/vg0/-f',
      ],
      ...[
        'dev/vg0/web01',
        '/dev/mapper/control',
        '/dev/mapper/a--b',
        '/dev/mapper/a-b-c',
        '/dev/vg0/a b',
        '/tmp/vg0/web01',
        '/dev//web01',
      ],
    ]) {
      assert.equal(lvOfPath(path), undefined, path)
    }
    assert.deepEqual(parsePoolName('vg0/pool'), { group: 'vg0', name: 'pool' })
    for (const pool of ['vg0', 'vg0/', '/pool', 'vg0/pool/x', 'vg0/-x'])
      assert.equal(parsePoolName(pool), undefined)
  })
})
