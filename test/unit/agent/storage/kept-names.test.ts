import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  checkMoveId,
  keptFilePath,
  keptLvName,
  keptTags,
  moveOfKeptFile,
  moveTag,
  readMarks,
  tagsOfKept,
} from '../../../../agent/storage/kept-names.ts'

const MOVE = '3f1c8f0e-8b0c-4d8e-9f53-0d3b1c5a7e01'

describe('names and marks of kept volumes', () => {
  it('a kept LV names the move and what it was', () => {
    const name = keptLvName('vg0', 'web01', MOVE)
    assert.match(name, /^lifeboat-kept\.[0-9a-f]{8}\.web01$/)
    const tags = keptTags(MOVE, 'web01', 1234)
    assert.deepEqual(readMarks(name, [...tags, 'theirs']).kept, {
      moveId: MOVE,
      oldName: 'web01',
      keptAt: 1234,
    })
    assert.deepEqual(tagsOfKept([...tags, 'theirs']), tags)
  })

  it('tags alone do not make a kept volume, nor does a name alone', () => {
    assert.equal(readMarks('web01', keptTags(MOVE, 'web01', 1)).kept, undefined)
    assert.equal(readMarks(keptLvName('vg0', 'web01', MOVE), []).kept, undefined)
    assert.equal(readMarks('web01', [moveTag(MOVE)]).arrivingBy, MOVE)
  })

  it('long names are cut to what LVM takes, and stay two for two disks', () => {
    const long = 'x'.repeat(110)
    const names = [`${long}-a`, `${long}-b`].map(name => keptLvName('vg0', name, MOVE))
    assert.notEqual(names[0], names[1])
    for (const name of names) assert.ok('vg0'.length + name.length <= 124, name)
    const dashes = keptLvName('my-vg', 'a-'.repeat(50), MOVE)
    assert.ok(`my--vg-${dashes.replaceAll('-', '--')}`.length <= 119, dashes)
    assert.throws(() => keptLvName('v'.repeat(120), 'web01', MOVE), { code: 'refused' })
  })

  it('a kept file lies beside the old one and says of which move it is', () => {
    const path = keptFilePath('/srv/vm/web01.img', MOVE)
    assert.equal(path, `/srv/vm/web01.img.lifeboat-kept.${MOVE}`)
    assert.equal(moveOfKeptFile(path), MOVE)
    assert.equal(moveOfKeptFile('/srv/vm/web01.img'), undefined)
    assert.equal(moveOfKeptFile('/srv/vm/.lifeboat-kept.x'), undefined)
    const long = keptFilePath(`/srv/vm/${'ü'.repeat(120)}`, MOVE)
    assert.ok(Buffer.byteLength(long.split('/').at(-1) ?? '') <= 255)
    assert.equal(moveOfKeptFile(long), MOVE)
  })

  it('an id that cannot be written down is refused before anything is done', () => {
    for (const id of ['', '-x', '.x', 'a b', 'a/b', 'a,b', 'x'.repeat(65)]) {
      assert.throws(() => checkMoveId(id), { code: 'bad-input' }, id)
    }
  })
})
