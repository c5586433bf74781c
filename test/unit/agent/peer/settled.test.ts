import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import type { MoveRow } from '../../../../agent/store/move-store.ts'
import { settle } from '../../../fakes/manual-clock.ts'
import { createTwoBlades, VM_ID } from '../operations/two-blades.ts'

const MOVE: MoveRow = {
  moveId: 'm1',
  direction: 'in',
  state: 'prepared',
  vmId: VM_ID,
  vmName: 'db01',
  peerBlade: 'blade01',
  peerAddress: '',
  epoch: 1,
  volumes: [],
  note: {},
}

test('the door is shut while a definition is being taken in: what drops the VM waits for it', async () => {
  const { source, target } = createTwoBlades('stopped')
  target.services.moves.put(MOVE)
  const gate = Promise.withResolvers<void>()
  const define = target.services.hypervisor.define
  target.services.hypervisor.define = async (text, run) => {
    await gate.promise
    await define(text, run)
  }
  const [here, there] = duplexPair()
  const header = { channel: 'definition', moveId: 'm1', vmId: VM_ID } as const
  const taken = target.incoming.handlers.bytes(header, MOVE, there as TLSSocket, () => {})
  here.end(await source.services.hypervisor.definition(VM_ID))
  await settle()
  let isSettled = false
  const settled = target.incoming.settled(MOVE).then(() => {
    isSettled = true
  })
  await settle()
  assert.equal(isSettled, false)
  gate.resolve()
  await Promise.all([taken, settled])
  assert.equal(target.vms.get(VM_ID)?.state, 'stopped')
})
