import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  formatError,
  packChunks,
  packIds,
  parseError,
  unpackChunks,
  unpackIds,
} from '../../../../../agent/vault/door/protocol.ts'
import { LifeboatError } from '../../../../../shared/errors.ts'

const ID = fc.uint8Array({ minLength: 32, maxLength: 32 }).map(bytes => Buffer.from(bytes).toString('hex'))
const CHUNKS = fc.array(
  fc.record(
    { id: ID, frame: fc.uint8Array({ maxLength: 50 }).map(bytes => Buffer.from(bytes)) },
    { noNullPrototype: true },
  ),
  { maxLength: 8 },
)

test('ids and chunks come out as they went in', () => {
  fc.assert(
    fc.property(fc.array(ID), ids => assert.deepEqual(unpackIds(packIds(ids)), ids)),
    { seed: 1128 },
  )
  fc.assert(
    fc.property(CHUNKS, chunks => assert.deepEqual(unpackChunks(Buffer.concat(packChunks(chunks))), chunks)),
    { seed: 1128 },
  )
})

test('a body that was cut off anywhere is refused, or is a shorter list of whole chunks', () => {
  fc.assert(
    fc.property(CHUNKS, fc.nat(), (chunks, at) => {
      const body = Buffer.concat(packChunks(chunks))
      const cut = body.subarray(0, body.length === 0 ? 0 : at % body.length)
      try {
        const whole = unpackChunks(cut)
        assert.deepEqual(whole, chunks.slice(0, whole.length))
      } catch (error) {
        assert.equal((error as LifeboatError).code, 'bad-input')
      }
    }),
    { seed: 1128 },
  )
  assert.throws(() => unpackIds(Buffer.alloc(33)), { code: 'bad-input' })
  assert.throws(() => packIds(['zz'.repeat(32)]), { code: 'bad-input' })
})

test('an error crosses the wire with its code, details, and its causes in one line', () => {
  const error = new LifeboatError('refused', 'no room', { cause: new Error('ENOSPC'), details: ['a', 'b'] })
  const back = parseError(JSON.parse(JSON.stringify(formatError(error))))
  assert.deepEqual([back.code, back.message, back.details], ['refused', 'no room: ENOSPC', ['a', 'b']])
  assert.equal(parseError(JSON.parse(JSON.stringify(formatError(new TypeError('x'))))).code, 'internal')
  for (const stranger of [undefined, null, 7, {}, { code: 'toString' }]) {
    assert.equal(parseError(stranger).code, 'version-mismatch')
  }
})
