import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  controllerAddress,
  formatAddress,
  splitAddress,
  vaultAddress,
} from '../../../../shared/rpc/address.ts'

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

test('a vault is at a name or an address, and at a port that can be dialled; a refusal quotes what was typed', () => {
  assert.equal(vaultAddress('depot-1.example.net'), 'depot-1.example.net:7423')
  assert.equal(vaultAddress('192.0.2.20:7500'), '192.0.2.20:7500')
  assert.equal(vaultAddress('[fd00::3]'), '[fd00::3]:7423')
  const wrong = [
    'not an addr!',
    '192.0.2.300',
    '-depot',
    'a..b',
    '[depot]',
    'fd00::3',
    'depot:0',
    'depot:65536',
    '',
  ]
  for (const text of wrong) {
    const message = `'${text}' is not an address: a host name, an IPv4 address or [IPv6], and :port (1 to 65535) if it is not 7423`
    assert.throws(() => vaultAddress(text), { code: 'bad-input', message }, text)
  }
})
