import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { ERROR_CODES, type ErrorCode, LifeboatError } from '../../../../shared/errors.ts'
import { fromStatus, toStatus } from '../../../../shared/rpc/status.ts'

/** What grpc-js makes of a status at the client. */
function asServiceError(told: ReturnType<typeof toStatus>): ServiceError {
  const { code, details, metadata } = told
  return Object.assign(new Error(`${code}: ${details}`), {
    code,
    details,
    metadata: metadata ?? new Metadata(),
  })
}

function foreign(code: status): ServiceError {
  return asServiceError({ code, details: 'words of a library', metadata: new Metadata() })
}

test('every code of ours arrives as itself, with its message and details', () => {
  for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
    const error = new LifeboatError(code, `about ${code}`, { details: ['größer', 'second'] })
    const told = toStatus(error)
    assert.notEqual(told.code, status.OK)
    const back = fromStatus(asServiceError(told))
    assert.deepEqual([back.code, back.message, back.details], [code, `about ${code}`, ['größer', 'second']])
  }
})

test('the causes stay at the server: the client reads them in the message', () => {
  const cause = new LifeboatError('command-failed', 'lvcreate exited with 5', { cause: new Error('no room') })
  const back = fromStatus(
    asServiceError(toStatus(new LifeboatError('refused', 'cannot prepare web01', { cause }))),
  )
  assert.equal(back.message, 'cannot prepare web01: lvcreate exited with 5: no room')
  assert.equal(back.code, 'refused')
})

test('what is not ours is a defect of the server', () => {
  assert.equal(fromStatus(asServiceError(toStatus(new TypeError('x is undefined')))).code, 'internal')
  assert.equal(fromStatus(asServiceError(toStatus('thrown text'))).message, 'thrown text')
})

test('a status from between the two is told in our words, with the original as its cause', () => {
  const expected: readonly [status, ErrorCode, RegExp][] = [
    [status.UNAVAILABLE, 'unavailable', /cannot be reached/],
    [status.DEADLINE_EXCEEDED, 'timeout', /no answer within the time limit/],
    [status.CANCELLED, 'aborted', /CANCELLED/],
    [status.UNIMPLEMENTED, 'version-mismatch', /does not know this request/],
    [status.DATA_LOSS, 'internal', /DATA_LOSS/],
  ]
  for (const [code, ours, message] of expected) {
    const original = foreign(code)
    const back = fromStatus(original)
    assert.equal(back.code, ours)
    assert.match(back.message, message)
    assert.equal(back.cause, original)
  }
})

test('a code that only a newer version knows becomes the nearest of ours', () => {
  const told = toStatus(new LifeboatError('not-found', 'no blade blade99'))
  told.metadata?.set('lifeboat-code', 'lost-in-space')
  assert.equal(fromStatus(asServiceError(told)).code, 'not-found')
  told.metadata?.set('lifeboat-code', 'constructor')
  assert.equal(fromStatus(asServiceError(told)).code, 'not-found')
})

test('an error with endless words still fits into the headers of HTTP/2', () => {
  const details = Array.from({ length: 500 }, (_, index) => `${index} ${'x'.repeat(1000)}`)
  const told = toStatus(new LifeboatError('bad-input', 'y'.repeat(100_000), { details }))
  const bytes = told.details.length + (told.metadata?.get('lifeboat-detail-bin').join('').length ?? 0)
  assert.ok(bytes < 12_000, `${bytes} bytes`)
})
