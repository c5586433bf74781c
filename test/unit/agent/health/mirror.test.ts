import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMirrorProbe } from '../../../../agent/health/mirror.ts'
import { missingSlots, parseMemberState, parseProgress } from '../../../../agent/health/mirror-text.ts'
import type { Fact, MirrorFact } from '../../../../shared/domain/health.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { goldenFiles } from './golden-files.ts'

const MD = '/sys/block/md0/md'

async function read(
  tree: string,
  changes: Record<string, string | undefined> = {},
): Promise<readonly Fact[]> {
  return await createMirrorProbe({
    files: goldenFiles(`md/${tree}.tree`, changes),
    clock: createManualClock(7),
  }).read()
}

async function readOne(tree: string, changes: Record<string, string | undefined> = {}): Promise<MirrorFact> {
  const [fact] = await read(tree, changes)
  assert.equal(fact?.kind, 'mirror', JSON.stringify(fact))
  return fact as MirrorFact
}

const stateOf = (fact: MirrorFact) => fact.members.map(({ device, state }) => `${device} ${state}`)

describe('mirror probe', () => {
  it('names a sound mirror and its halves as the administrator knows them', async () => {
    assert.deepEqual(await read('clean'), [
      {
        kind: 'mirror',
        observedAt: 7,
        name: 'md0',
        expectedMembers: 2,
        members: [
          { device: 'leg0', state: 'in-sync', errors: 0 },
          { device: 'leg1', state: 'in-sync', errors: 0 },
        ],
        activity: 'idle',
        progressPercent: 0,
      },
    ])
  })

  it('a disk that fails is faulty by name, and not missing a second time', async () => {
    assert.deepEqual(stateOf(await readOne('io-error')), ['leg0 in-sync', 'leg1 faulty'])
  })

  it('a disk that has left the array is a missing slot', async () => {
    const fact = await readOne('removed')
    assert.equal(fact.expectedMembers, 2)
    assert.deepEqual(stateOf(fact), ['leg0 in-sync', 'slot 1 missing'])
  })

  it('a disk that is being filled is no second copy yet', async () => {
    const changes = { [`${MD}/sync_completed`]: '357888 / 1431552' }
    const fact = await readOne('rebuilding', changes)
    assert.deepEqual(stateOf(fact), ['leg0 in-sync', 'leg1 rebuilding'])
    assert.equal(fact.activity, 'recover')
    assert.equal(fact.progressPercent, 25)
  })

  it('a scheduled check changes nothing but the activity', async () => {
    const fact = await readOne('check')
    assert.deepEqual(stateOf(fact), ['leg0 in-sync', 'leg1 in-sync'])
    assert.equal(fact.activity, 'check')
  })

  it('counts the errors of the disk that is left', async () => {
    const fact = await readOne('removed', { [`${MD}/dev-dm-0/errors`]: '21' })
    assert.equal(fact.members[0]?.errors, 21)
  })

  it('keeps the kernel’s name when the mapper has none for it any more', async () => {
    const fact = await readOne('clean', { '/sys/block/dm-1/dm/name': undefined })
    assert.deepEqual(stateOf(fact), ['leg0 in-sync', 'dm-1 in-sync'])
  })

  it('leaves out arrays without redundancy, stopped ones, and disks that are none', async () => {
    assert.deepEqual(await read('clean', { [`${MD}/level`]: 'raid0' }), [])
    assert.deepEqual(await read('clean', { [`${MD}/level`]: 'container' }), [])
    assert.deepEqual(await read('clean', { [`${MD}/array_state`]: 'clear' }), [])
    assert.deepEqual(await read('clean', { '/sys/block/sda/size': '8' }), await read('clean'))
  })

  it('half-written text is unreadable with one clear error, never a lost disk', async () => {
    const torn: Record<string, string> = {
      [`${MD}/level`]: 'rai',
      [`${MD}/raid_disks`]: '',
      [`${MD}/array_state`]: '',
      [`${MD}/sync_action`]: '\u0000\u0000',
      [`${MD}/dev-dm-1/state`]: 'in_sy',
      [`${MD}/dev-dm-1/slot`]: '1x',
      [`${MD}/dev-dm-1/errors`]: '-',
    }
    for (const [path, text] of Object.entries(torn)) {
      const facts = await read('clean', { [path]: text })
      assert.equal(facts.length, 1)
      const [fact] = facts
      assert.ok(fact?.kind === 'unreadable', `${path}: ${JSON.stringify(fact)}`)
      assert.equal(fact.of, 'mirror')
      assert.equal(fact.name, 'md0')
      assert.match(fact.error, new RegExp(path))
    }
  })

  it('an array that is assembled and does not run is not called lost', async () => {
    const [fact] = await read('clean', { [`${MD}/array_state`]: 'inactive', [`${MD}/level`]: '' })
    assert.ok(fact?.kind === 'unreadable')
    assert.match(fact.error, /md0 is assembled but not running/)
  })

  it('a disk that leaves while we read is looked at again', async () => {
    const before = goldenFiles('md/clean.tree', { [`${MD}/dev-dm-1/slot`]: undefined })
    const after = goldenFiles('md/removed.tree')
    let looks = 0
    const files = {
      read: (path: string) => (looks > 1 ? after : before).read(path),
      list: (path: string) => {
        if (path === MD) looks += 1
        return (looks > 1 ? after : before).list(path)
      },
    }
    const [fact] = await createMirrorProbe({ files, clock: createManualClock() }).read()
    assert.deepEqual(stateOf(fact as MirrorFact), ['leg0 in-sync', 'slot 1 missing'])
  })
})

describe('mirror text', () => {
  it('reads the flags of a member as the kernel sets them', () => {
    assert.equal(parseMemberState('s', 'faulty,write_error\n', 1), 'faulty')
    assert.equal(parseMemberState('s', 'in_sync,write_mostly,failfast\n', 1), 'in-sync')
    assert.equal(parseMemberState('s', 'spare\n', undefined), 'spare')
    assert.equal(parseMemberState('s', 'spare\n', 1), 'rebuilding')
    assert.equal(parseMemberState('s', 'in_sync,want_replacement\n', 0), 'in-sync')
    assert.equal(parseMemberState('s', 'spare,replacement\n', 0), 'spare')
    assert.equal(parseMemberState('s', 'journal\n', undefined), 'spare')
  })

  it('a spare in its slot does not fill the slot of the disk it is to replace', () => {
    const members = [
      { state: 'in-sync', slot: 0 },
      { state: 'spare', slot: 0 },
      { state: 'in-sync', slot: 1 },
    ] as const
    assert.deepEqual(missingSlots(2, members), [])
    assert.deepEqual(missingSlots(3, [{ state: 'in-sync', slot: 1 }]), ['slot 0', 'slot 2'])
  })

  it('progress is of the activity, and refuses a division by nothing', () => {
    assert.equal(parseProgress('p', 'none\n'), 0)
    assert.equal(parseProgress('p', 'delayed\n'), 0)
    assert.equal(parseProgress('p', '1 / 3\n'), 33.3)
    assert.throws(() => parseProgress('p', '1 / 0\n'), { code: 'bad-tool-output' })
  })
})
