import assert from 'node:assert/strict'
import { it } from 'node:test'
import { countAt, decodeCounter, encodeCounter, SECTOR_BYTES, TICK_MS } from '../../../../agent/sim/guest.ts'
import { errorCode } from '../../../../shared/errors.ts'

it('a counter survives its sector, and a virgin disk stands at 0', () => {
  assert.equal(decodeCounter(encodeCounter(123_456_789_012)), 123_456_789_012)
  assert.equal(decodeCounter(Buffer.alloc(SECTOR_BYTES)), 0)
})

it('a sector with one wrong bit is damaged, not a number', () => {
  const sector = encodeCounter(41)
  sector.writeUInt8(42, 8)
  assert.throws(
    () => decodeCounter(sector),
    error => errorCode(error) === 'bad-tool-output',
  )
})

it('the counter rises by whole ticks while the guest runs, and stands when it does not', () => {
  assert.equal(countAt(10, 1000, 1000), 10)
  assert.equal(countAt(10, 1000, 1000 + 3 * TICK_MS - 1), 12)
  assert.equal(countAt(10, 0, 99_999), 10)
  assert.equal(countAt(10, 2000, 1000), 10, 'a clock that steps back undoes no step')
})
