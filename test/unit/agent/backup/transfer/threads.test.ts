import assert from 'node:assert/strict'
import { getPriority } from 'node:os'
import { test } from 'node:test'
import { yieldToVms } from '../../../../../agent/backup/transfer/threads.ts'

/** Above the highest id that Linux gives. */
const GONE = String(2 ** 22)

test('a thread that ended after it was listed does not end the transfer', () => {
  const own = getPriority()
  yieldToVms([GONE])
  assert.equal(getPriority(), own)
})

test('what cannot be made to yield for another reason is told', () => {
  assert.throws(() => yieldToVms(['no number']))
})
