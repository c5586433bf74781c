import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createRateMeter } from '../../../../controller/cli/rate.ts'

const MIB = 1024 ** 2

test('what takes less than two seconds gets no forecast, what takes longer gets rate and time left', () => {
  const meter = createRateMeter()
  assert.equal(meter.tell(0, 0, 100 * MIB), '')
  assert.equal(meter.tell(1000, 10 * MIB, 100 * MIB), '')
  assert.equal(meter.tell(2000, 20 * MIB, 100 * MIB), '10 MiB/s, 8 s left')
  assert.equal(meter.tell(2000, 100 * MIB, 100 * MIB), '50 MiB/s', 'at the end nothing is left')
})

test('the rate is that of the last ten seconds, not of the whole: holes at the beginning pass quickly', () => {
  const meter = createRateMeter()
  for (let second = 0; second <= 3; second++) meter.tell(second * 1000, second * 1000 * MIB, 10_000 * MIB)
  let text = ''
  for (let second = 4; second <= 20; second++) {
    text = meter.tell(second * 1000, (3000 + (second - 3) * 10) * MIB, 10_000 * MIB)
  }
  assert.match(text, /^10 MiB\/s, /)
})

test('work that stands still says nothing rather than forever, and one that counts anew begins anew', () => {
  const meter = createRateMeter()
  meter.tell(0, 5 * MIB, 10 * MIB)
  assert.equal(meter.tell(5000, 5 * MIB, 10 * MIB), '')
  assert.equal(meter.tell(6000, MIB, 10 * MIB), '', 'less than before: another step')
  assert.equal(meter.tell(9000, 4 * MIB, 10 * MIB), '1 MiB/s, 6 s left')
})
