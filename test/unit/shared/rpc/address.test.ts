import assert from 'node:assert/strict'
import { test } from 'node:test'
import { controllerAddress, formatAddress, splitAddress } from '../../../../shared/rpc/address.ts'

test('addresses are split and joined, IPv6 in brackets', () => {
  assert.deepEqual(splitAddress('10.0.0.3:7422'), { host: '10.0.0.3', port: 7422 })
  assert.deepEqual(splitAddress('[fd00::3]:7422'), { host: 'fd00::3', port: 7422 })
  assert.equal(formatAddress('fd00::3', 1), '[fd00::3]:1')
  assert.equal(formatAddress('blade03', 1), 'blade03:1')
})

test('what is no address is refused', () => {
  for (const text of ['', 'blade03', 'blade03:', 'fd00::3:7422', 'blade03:70000']) {
    assert.throws(() => splitAddress(text), { code: 'bad-input' }, text)
  }
})

test('the port of the controller need not be given', () => {
  assert.equal(controllerAddress('10.0.0.1'), '10.0.0.1:7420')
  assert.equal(controllerAddress('10.0.0.1:9000'), '10.0.0.1:9000')
  assert.equal(controllerAddress('[fd00::1]'), '[fd00::1]:7420')
})
