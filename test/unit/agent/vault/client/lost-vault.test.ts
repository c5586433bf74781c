import assert from 'node:assert/strict'
import { test } from 'node:test'
import { vaultLost } from '../../../../../agent/vault/client/lost-vault.ts'
import { formatErrorChain } from '../../../../../shared/errors.ts'

const DEPOT = { name: 'depot', address: '192.0.2.20:7424' }
const say = (...[loss, cause]: [Parameters<typeof vaultLost>[1], unknown?]) =>
  formatErrorChain(vaultLost(DEPOT, loss, cause))

test('a vault that is lost is told with its name, its address, why, and what to type', () => {
  assert.equal(
    say('silent', new Error('connect EHOSTUNREACH 192.0.2.20:7424')),
    'vault depot does not answer at 192.0.2.20:7424: no route to that host; since when: `lifeboat vault status depot`',
  )
  assert.equal(
    say('broken', new Error('read ECONNRESET')),
    'the connection to vault depot at 192.0.2.20:7424 broke: connection reset; since when: `lifeboat vault status depot`',
  )
  assert.equal(
    say('slow'),
    'vault depot at 192.0.2.20:7424 gave no answer in time; since when: `lifeboat vault status depot`',
  )
  assert.deepEqual(
    [vaultLost(DEPOT, 'broken').code, vaultLost(DEPOT, 'slow').code],
    ['unavailable', 'timeout'],
  )
})

test('of a name with several addresses only the code of the error says why', () => {
  const all = Object.assign(new AggregateError([], ''), { code: 'ECONNREFUSED' })
  assert.match(say('silent', all), /7424: connection refused; since when/)
})

test('what is not foreseen hangs below', () => {
  assert.match(
    say('broken', new Error('the request was cut off (code 8)')),
    /depot`: the request was cut off/,
  )
})
