import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { openLab } from '../../lab.ts'
import { define, domainXml, undefine } from '../support/domains.ts'
import { alertsSince, assertSound, calm, place, vm, vms } from '../support/fleet.ts'

const lab = openLab()
/** "Within seconds": an event of libvirt starts a report; the rest is the CLI's own start on a busy machine. */
const SECONDS_MS = 15_000

before(async () => {
  await calm(lab)
  await place(lab, { wiki01: 'blade02' })
})

after(() => undefine(lab, 'blade02', 'spare01'))

async function virsh(...words: string[]): Promise<number> {
  await lab.mustExec('blade02', ['virsh', '-q', ...words])
  return Date.now()
}

async function seen(what: string, doneAt: number, look: () => Promise<boolean>): Promise<void> {
  await lab.waitFor(`${what} to be seen`, look, SECONDS_MS)
  console.log(`${what}: seen after ${((Date.now() - doneAt) / 1000).toFixed(1)} s`)
}

test('what an administrator does by virsh is seen within seconds and is no alert', async () => {
  const startedAt = Date.now()
  const stateIs = (state: string) => async () => (await vm(lab, 'wiki01')).state === state
  await seen('virsh suspend', await virsh('suspend', 'wiki01'), stateIs('paused'))
  await seen('virsh resume', await virsh('resume', 'wiki01'), stateIs('running'))
  await seen('virsh destroy', await virsh('destroy', 'wiki01'), stateIs('stopped'))
  await seen('virsh start', await virsh('start', 'wiki01'), stateIs('running'))

  await define(lab, 'blade02', 'spare01', domainXml('spare01', []))
  const defined = async () => (await vms(lab)).find(each => each.name === 'spare01')
  await seen('virsh define', Date.now(), async () => (await defined())?.state === 'stopped')
  assert.equal((await defined())?.blade, 'blade02')
  await seen(
    'virsh undefine',
    await virsh('undefine', 'spare01'),
    async () => (await defined()) === undefined,
  )

  assert.deepEqual(await alertsSince(lab, startedAt), [])
  await assertSound(lab)
})

test('what Lifeboat itself pauses, resumes, stops and starts is what virsh then says', async () => {
  const real = async () => (await lab.mustExec('blade02', ['virsh', 'domstate', 'wiki01'])).trim()
  const act = async (...words: string[]) => {
    const found = await lab.cliJson<{ state: string; outcome: string }>(['vm', ...words], 120_000)
    assert.equal(found.state, 'done', `${words.join(' ')}: ${found.outcome}`)
  }
  await act('pause', 'wiki01')
  assert.equal(await real(), 'paused')
  await act('resume', 'wiki01')
  assert.equal(await real(), 'running')
  await act('stop', 'wiki01', '--force')
  assert.equal(await real(), 'shut off')
  await act('start', 'wiki01')
  assert.equal(await real(), 'running')
  await assertSound(lab)
})
