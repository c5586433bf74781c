import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinAddress, ownAddressTowards, splitAddress } from '../../../../agent/peer/address.ts'

test('addresses are split and joined, IPv6 in brackets', () => {
  assert.deepEqual(splitAddress('10.0.0.3:7422'), { host: '10.0.0.3', port: 7422 })
  assert.deepEqual(splitAddress('[fd00::3]:7422'), { host: 'fd00::3', port: 7422 })
  assert.equal(joinAddress('fd00::3', 1), '[fd00::3]:1')
  assert.equal(joinAddress('blade03', 1), 'blade03:1')
})

test('what is no address is refused', () => {
  for (const text of ['', 'blade03', 'blade03:', 'fd00::3:7422', 'blade03:70000']) {
    assert.throws(() => splitAddress(text), { code: 'bad-input' }, text)
  }
})

test('the way to our own host is our loopback address', async () => {
  assert.equal(await ownAddressTowards('127.0.0.1', 7420), '127.0.0.1')
})
