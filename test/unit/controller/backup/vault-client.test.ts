import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noAnswer } from '../../../../controller/backup/vault-client.ts'
import { formatErrorChain, LifeboatError } from '../../../../shared/errors.ts'

const say = (cause: unknown, code: 'unavailable' | 'timeout' = 'unavailable') =>
  formatErrorChain(noAnswer('depot', '192.0.2.20:7423', new LifeboatError(code, 'too late', { cause })))
const ADVICE = 'is lifeboat-vault running there? systemctl status lifeboat-vault'

test('a vault that does not answer is told in our words, without those of the transport', () => {
  assert.equal(
    say(
      new Error(
        '14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 192.0.2.20:7423. Resolution note: ',
      ),
    ),
    `the vault depot does not answer at 192.0.2.20:7423: connection refused; ${ADVICE}`,
  )
  assert.equal(
    say(new Error('4 DEADLINE_EXCEEDED'), 'timeout'),
    `the vault depot does not answer at 192.0.2.20:7423: too late; ${ADVICE}`,
  )
})

test('what is not foreseen hangs below; what the vault itself said is not taken for silence', () => {
  assert.equal(
    say(new Error('certificate has expired. Resolution note: none')),
    `the vault depot does not answer at 192.0.2.20:7423; ${ADVICE}: Error: certificate has expired.`,
  )
  const own = new LifeboatError('unavailable', 'the disk of the vault fails')
  assert.equal(
    formatErrorChain(noAnswer('depot', 'h:1', own)),
    'the vault depot cannot do that now: the disk of the vault fails',
  )
})
