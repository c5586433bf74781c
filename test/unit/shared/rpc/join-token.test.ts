import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatJoinToken, parseJoinToken } from '../../../../shared/rpc/join-token.ts'

const CONTENT = { blade: 'blade01', secret: 'open sesame', authority: 'a'.repeat(64), expiresAt: 7 }

test('a token is one word that can be pasted, and says on the blade what the controller put into it', () => {
  const text = formatJoinToken(CONTENT)
  assert.match(text, /^lifeboat1\.[A-Za-z0-9_-]+$/)
  assert.deepEqual(parseJoinToken(text), CONTENT)
})

test('a token that was not copied whole is told so, without a word of it in the message', () => {
  const whole = formatJoinToken(CONTENT)
  const escaping = formatJoinToken({ ...CONTENT, blade: '../etc' })
  for (const broken of ['', 'hello', whole.slice(0, -20), whole.slice(5), escaping]) {
    assert.throws(() => parseJoinToken(broken), {
      code: 'bad-input',
      message: /^(?!.*sesame)/,
    })
  }
})
