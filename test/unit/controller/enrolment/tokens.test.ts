import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkSecret, hashSecret, issueToken } from '../../../../controller/enrolment/tokens.ts'
import { openStore } from '../../../../controller/store/store.ts'
import { parseJoinToken } from '../../../../shared/rpc/join-token.ts'

const AUTHORITY = 'a'.repeat(64)
let number = 0
const ids = { next: () => `00000000-0000-4000-8000-${String(++number).padStart(12, '0')}` }

test('a token carries blade, secret and the hash of the authority; the database only a hash of the secret', () => {
  const { tokens, database, close } = openStore(':memory:')
  const token = issueToken(tokens, ids, { name: 'blade01', role: 'blade' }, AUTHORITY, 1000, 60_000)
  const content = parseJoinToken(token.text)
  assert.deepEqual([content.blade, content.authority, content.expiresAt], ['blade01', AUTHORITY, 61_000])
  assert.equal(checkSecret(tokens, content.secret, 1001).blade, 'blade01')
  const stored = JSON.stringify(database.prepare('SELECT * FROM tokens').all())
  assert.ok(!stored.includes(content.secret))
  assert.ok(stored.includes(hashSecret(content.secret)))
  close()
})

test('each way a token can be wrong has its own words', () => {
  const { tokens, close } = openStore(':memory:')
  const secretFor = (name: string, role: 'blade' | 'vault') =>
    parseJoinToken(issueToken(tokens, ids, { name, role }, AUTHORITY, 0, 100).text).secret
  const used = secretFor('blade01', 'blade')
  tokens.use(hashSecret(used), 1)
  const expired = secretFor('depot', 'vault')
  assert.throws(
    () => checkSecret(tokens, used, 50),
    /blade01 has been used already; `lifeboat blade add blade01`/,
  )
  assert.throws(() => checkSecret(tokens, expired, 100), /depot has expired; `lifeboat vault add depot`/)
  assert.throws(() => checkSecret(tokens, 'x', 50), { code: 'not-authenticated', message: /not known here/ })
  close()
})
