import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { openLab } from '../../lab.ts'
import { controllerLog, identityOf, secretOf, tryCall } from '../support/attempt.ts'
import { blade, blades, calm } from '../support/fleet.ts'

const lab = openLab()
const STRANGER = 'blade09'

interface Added {
  token: string
  expiresAt: number
  joinCommand: string
}

let startedAt = 0
let shortLived: Added

before(async () => {
  startedAt = Date.now()
  await calm(lab)
  // A minute is the shortest; the other tests make use of it.
  shortLived = await lab.cliJson<Added>(['blade', 'add', 'blade08', '--token-ttl', '1'])
})

/** Tries a token as a blade would, with a state of its own: the blade it runs on stays what it is. */
function joinWith(token: string) {
  const config = '/run/stranger.toml'
  const script = `printf '[state]\\ndir = "/run/stranger"\\n' > ${config}; exec lifeboat-agent --config ${config} join --no-start --controller 10.77.0.250 --token "$1"`
  return lab.exec('blade03', ['sh', '-c', script, 'sh', token], { timeoutMs: 60_000 })
}

test('every blade has joined under its own name, is up, and reports its hardware', async () => {
  const joined = (await blades(lab)).filter(each => each.enrolment === 'joined')
  assert.deepEqual(joined.map(each => each.name).sort(), [...lab.blades])
  for (const each of joined) {
    assert.equal(each.liveness, 'up')
    const { facts } = await blade(lab, each.name)
    const kinds = facts.map(fact => fact.kind?.$case).sort()
    assert.deepEqual(kinds, ['bond', 'mirror', 'power'], each.name)
  }
})

test('a token joins once: the second time it joins nothing', async () => {
  const { token } = await lab.cliJson<Added>(['blade', 'add', STRANGER])
  const first = await joinWith(token)
  assert.equal(first.code, 0, first.stderr)
  await lab.mustExec('blade03', ['rm', '-rf', '/run/stranger'])
  const second = await joinWith(token)
  assert.equal(second.code, 1)
  assert.match(second.stderr, /the token of blade09 has been used already/)
  assert.match(second.stderr, /lifeboat blade add blade09/)
  const known = await lab.exec('blade03', ['test', '-e', '/run/stranger/identity/identity.json'])
  assert.notEqual(known.code, 0, 'an identity was written')
})

test('the certificate of blade02 cannot report for blade03, nor ask what only people may ask', async () => {
  const identity = await identityOf(lab, 'blade02')
  const asOther = await tryCall({ call: 'report', identity, blade: 'blade03' })
  assert.equal(asOther.done, false)
  assert.match(asOther.refusal, /blade02/)
  assert.match(asOther.refusal, /blade03/)
  const asPerson = await tryCall({ call: 'status', identity })
  assert.equal(asPerson.done, false)
  assert.match(asPerson.refusal, /role blade may not call/)
  assert.equal((await blade(lab, 'blade03')).liveness, 'up')
})

test('a client without a certificate gets nothing', async () => {
  for (const call of ['report', 'status'] as const) {
    const { done, refusal } = await tryCall({ call, blade: 'blade03' })
    assert.equal(done, false, call)
    assert.match(refusal, /no valid certificate of this fleet/)
  }
  const { done } = await tryCall({ call: 'join', secret: 'made-up' })
  assert.equal(done, false)
})

test('an expired token joins nothing, even if the blade’s clock says that it is good', async () => {
  const { token, expiresAt } = shortLived
  await lab.waitFor('expiry of the token', async () => Date.now() > expiresAt, 90_000)
  const polite = await joinWith(token)
  assert.equal(polite.code, 1)
  assert.match(polite.stderr, /expired/)
  const rude = await tryCall({ call: 'join', secret: secretOf(token) })
  assert.equal(rude.done, false)
  assert.match(rude.refusal, /the token of blade08 has expired/)
})

test('each refusal is in the log of the controller, with who and from where', async () => {
  const log = await controllerLog(lab, startedAt)
  const refused = log.split('\n').filter(line => line.includes('request refused'))
  const said = (...words: RegExp[]) =>
    assert.ok(
      refused.some(line => words.every(word => word.test(line))),
      `no line with ${words.join(', ')} in\n${refused.join('\n')}`,
    )
  said(/used already/)
  said(/has expired/)
  said(/Intake\/Session/, /blade02/, /blade03/)
  said(/Admin\/GetStatus/, /role blade/, /10\.77\.0\.254/)
  said(/Admin\/GetStatus/, /no valid certificate/, /10\.77\.0\.254/)
  said(/Enrolment\/Join/, /not known/)
})

test('a blade that was only announced is removed again', async () => {
  for (const name of ['blade08', STRANGER]) await lab.cliJson(['blade', 'remove', name])
  assert.deepEqual((await blades(lab)).map(each => each.name).sort(), [...lab.blades])
})
