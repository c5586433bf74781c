import assert from 'node:assert/strict'
import { test } from 'node:test'
import { liveness } from '../../../../controller/fleet/liveness.ts'

const LIMITS = { suspectAfterMs: 15_000, silentAfterMs: 30_000 }
const NOW = 1_000_000

test('reports that stay away make a blade suspect, then silent, each at its limit', () => {
  const ages = [0, 15_000, 15_001, 30_000, 30_001]
  assert.deepEqual(
    ages.map(age => liveness(NOW - age, NOW, LIMITS)),
    ['up', 'up', 'suspect', 'suspect', 'silent'],
  )
})

test('a blade that never reported is silent', () => {
  assert.equal(liveness(0, 5_000, LIMITS), 'silent')
})

test('a report from the future does not count as fresh: the clock was set back', () => {
  assert.equal(liveness(NOW + 1, NOW, LIMITS), 'suspect')
})
