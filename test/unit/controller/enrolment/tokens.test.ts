import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSecret, hashSecret, issueToken } from '../../../../controller/enrolment/tokens.ts'
import { openStore } from '../../../../controller/store/store.ts'

let number = 0
const ids = { next: () => `00000000-0000-4000-8000-${String(++number).padStart(12, '0')}` }

test('a token carries blade, secret and the hash of the authority; the database only a hash of the secret', () => {
  const { tokens, database, close } = openStore(':memory:')
  const token = issueToken(tokens, ids, 'blade01', 'abc', 1000, 60_000)
  assert.match(token.text, /^lifeboat1\.[A-Za-z0-9_-]+$/)
  const content = JSON.parse(Buffer.from(token.text.slice(10), 'base64url').toString())
  assert.deepEqual([content.blade, content.authority, content.expiresAt], ['blade01', 'abc', 61_000])
  assert.equal(checkSecret(tokens, content.secret, 1001), 'blade01')
  const stored = JSON.stringify(database.prepare('SELECT * FROM tokens').all())
  assert.ok(!stored.includes(content.secret))
  assert.ok(stored.includes(hashSecret(content.secret)))
  close()
})

test('each way a token can be wrong has its own words', () => {
  const { tokens, close } = openStore(':memory:')
  const secretOf = (text: string) =>
    JSON.parse(Buffer.from(text.slice(10), 'base64url').toString()).secret as string
  const used = secretOf(issueToken(tokens, ids, 'blade01', '', 0, 100).text)
  tokens.use(hashSecret(used), 1)
  const expired = secretOf(issueToken(tokens, ids, 'blade02', '', 0, 100).text)
  assert.throws(() => checkSecret(tokens, used, 50), /blade01 has been used already/)
  assert.throws(() => checkSecret(tokens, expired, 100), /blade02 has expired/)
  assert.throws(() => checkSecret(tokens, 'x', 50), { code: 'not-authenticated', message: /not known here/ })
  close()
})
