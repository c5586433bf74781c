import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { openLab } from '../../lab.ts'
import { alertGone, alertOf, assertAgrees, blade, calm, operations, status } from '../support/fleet.ts'

const lab = openLab()

before(() => calm(lab))

test('automation is paused, then a mirror fails: alert, no move, and status says why', async () => {
  const before = await operations(lab)
  await lab.cliJson(['automation', 'pause', '--reason', 'new switch tonight'])
  await lab.fail('blade01', 'mirror')
  await alertOf(lab, 'mirror-degraded', 60_000)
  // The hold time of the lab is 5 s: what would be done is done only after it.
  const held = await lab.waitFor(
    'a line in status that says what is held back',
    async () => (await status(lab)).heldBack.find(text => /blade01/.test(text) && /paused/.test(text)),
    60_000,
  )
  assert.match(held, /md0/)
  assert.match(held, /new switch tonight/)
  assert.match(held, /lifeboat automation resume/)
  assert.match(held, /lifeboat evacuate blade01/)
  const { automation } = await status(lab)
  assert.equal(automation?.paused, true)
  assert.deepEqual(
    (await operations(lab)).map(each => each.id),
    before.map(each => each.id),
  )
  assert.equal((await blade(lab, 'blade01')).quarantined, true)
  await assertAgrees(lab)
})

test('the disk comes back before anybody resumes: the alert ends and nothing was moved', async () => {
  await lab.heal('blade01', 'mirror')
  await alertGone(lab, 'mirror-degraded')
  await lab.cliJson(['automation', 'resume'])
  const { automation, heldBack } = await status(lab)
  assert.equal(automation?.paused, false)
  assert.deepEqual(heldBack, [])
  assert.equal((await blade(lab, 'blade01')).vms.length, 4)
})
