import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ownAddressTowards } from '../../../../agent/peer/own-address.ts'

test('the way to our own host is our loopback address', async () => {
  assert.equal(await ownAddressTowards('127.0.0.1', 7420), '127.0.0.1')
})
