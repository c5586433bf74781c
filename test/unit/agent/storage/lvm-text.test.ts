import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { lvOfPath, parsePoolName } from '../../../../agent/storage/lvm-names.ts'
import { lvmPools, writtenBytes } from '../../../../agent/storage/lvm-room.ts'
import {
  lvStorage,
  parseChunkBytes,
  parseFullReport,
  zeroesNewChunks,
} from '../../../../agent/storage/lvm-text.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { goldenText } from '../health/golden-files.ts'

const TEXT = goldenText('lvm/fullreport.txt')
const REPORT = parseFullReport(TEXT)
const lvOf = (name: string) => REPORT.volumes.find(lv => lv.name === name)

describe('LVM reports', () => {
  it('reads every line of a captured report; a disk that is in no group is none of ours', () => {
    assert.deepEqual(
      REPORT.volumes.map(
        lv => `${lv.name} ${lvStorage(lv) ?? 'none'} ${lv.sizeBytes / MIB} ${lv.minor} ${lv.thinId}`,
      ),
      [
        ...['db02 thin 32 7 2', 'db02-snap thin 32 -1 3', 'lifeboat-kept.0a1b2c3d.old01 thick 8 9 -1'],
        ...['mail02 thin 16 8 4', 'off01 thick 8 -1 -1', 'pool none 384 4 -1', 'print01 thin 64 6 1'],
        ...['web02 thick 16 10 -1', 'web02-snap none 8 13 -1'],
      ],
    )
    assert.deepEqual(REPORT.groups, [
      { name: 'vg0', sizeBytes: 1_069_547_520, freeBytes: 616_562_688, extentBytes: 4 * MIB },
    ])
    assert.equal(parseChunkBytes(goldenText('lvm/lvs-chunk.txt')), 65536)
  })

  it('keeps tags apart and knows what is written of a volume, and how full a pool is', () => {
    assert.deepEqual(lvOf('lifeboat-kept.0a1b2c3d.old01')?.tags, [
      'lifeboat.kept-since.1700000000000',
      'lifeboat.kept.m1',
      'lifeboat.was.old01',
    ])
    const db02 = lvOf('db02')
    assert.deepEqual(db02?.tags, [])
    assert.equal(db02 && writtenBytes(db02), Math.ceil(32 * MIB * 0.1562))
    assert.equal(db02 && zeroesNewChunks(db02), false)
    assert.equal(db02 && zeroesNewChunks({ ...db02, attributes: 'Vwi-a-tz--' }), true)
    assert.deepEqual([lvOf('pool')?.dataPercent, lvOf('pool')?.metadataPercent], [1.37, 11.13])
    assert.equal(lvOf('web02-snap')?.dataPercent, 25.2)
  })

  it('counts the pools of the captured host', () => {
    assert.deepEqual(
      lvmPools(REPORT).map(
        pool =>
          `${pool.storage} ${pool.name} ${pool.sizeBytes / MIB} free ${pool.freeBytes / MIB} + ${pool.reclaimableBytes / MIB}`,
      ),
      // 384 MiB less 32 (db02), 32 (its snapshot), 16 (mail02) and 64 (print01).
      ['thick vg0 1020 free 588 + 8', 'thin vg0/pool 384 free 240 + 0'],
    )
  })

  it('a blade without LVM has neither groups nor volumes', () => {
    assert.deepEqual(parseFullReport('{"report":[],"log":[]}'), { groups: [], volumes: [] })
  })

  it('a group whose volumes LVM could not list is bad output, not an empty group', () => {
    // What LVM 2.03.31 printed, and ended with 5, when it was asked for a column of another part.
    const group = '{"vg_name":"vg0","vg_size":"1069547520","vg_free":"616562688","vg_extent_size":"4194304"}'
    assert.throws(() => parseFullReport(`{"report":[{"vg":[${group}],"pv":[{"pv_name":"/dev/md0"}]}]}`), {
      code: 'bad-tool-output',
      details: ['report.0: a group without its volumes'],
    })
    const empty = parseFullReport(`{"report":[{"vg":[${group}],"pv":[],"lv":[],"pvseg":[],"seg":[]}]}`)
    assert.deepEqual([empty.groups.length, empty.volumes], [1, []])
  })

  it('a report cut anywhere is bad output, never half a list', () => {
    const whole = TEXT.trimEnd()
    for (let length = 0; length < whole.length; length += 1) {
      assert.throws(
        () => parseFullReport(whole.slice(0, length)),
        { code: 'bad-tool-output' },
        `cut at ${length}`,
      )
    }
  })

  it('a report of another shape is bad output that says where', () => {
    const other = TEXT.replace('"lv_size":"33554432"', '"lv_size":"32.00m"')
    assert.throws(
      () => parseFullReport(other),
      (error: { code?: string; details?: string[] }) => {
        assert.equal(error.code, 'bad-tool-output')
        assert.match(error.details?.[0] ?? '', /^report\.0\.lv\.0\.lv_size: /)
        return true
      },
    )
    for (const text of [
      'null',
      '[]',
      '{}',
      '{"report":[{"vg":[]}]}',
      '{"report":[{"vg":{}}]}',
      '{"report":[{"lv":[{}]}]}',
    ]) {
      assert.throws(() => parseFullReport(text), { code: 'bad-tool-output' }, text)
    }
  })

  it('tells disks of VMs from everything else LVM lists', () => {
    const kinds: Record<string, string | undefined> = {
      ...{ '-wi-ao----': 'thick', 'owi-aos---': 'thick', 'rwi-a-r---': 'thick', 'Vwi-aotz--': 'thin' },
      ...{ 'Vwi---tz-k': 'thin', 'twi-aotz--': undefined, 'swi-a-s---': undefined, 'Cwi---C---': undefined },
      ...{ 'vwi-a-v---': undefined, 'dwi-------': undefined },
    }
    const lv = { ...lvOf('off01'), origin: '' }
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
