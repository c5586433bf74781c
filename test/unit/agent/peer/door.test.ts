import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decideDoor } from '../../../../agent/peer/door.ts'
import { PEER_CHANNELS, type PeerChannel, parseAnswer, parseHeader } from '../../../../agent/peer/header.ts'
import type { MoveState } from '../../../../agent/store/move-store.ts'
import { preparedMove } from '../../../fakes/moves.ts'

const header = (channel: PeerChannel) => ({ channel, moveId: 'm1', vmId: 'vm-1' })
const code = (decision: ReturnType<typeof decideDoor>) => (decision.open ? 'open' : decision.code)

test('the blade the controller named comes in by every channel while the move is prepared', () => {
  for (const channel of Object.keys(PEER_CHANNELS) as PeerChannel[]) {
    assert.equal(code(decideDoor(header(channel), 'blade01', preparedMove())), 'open', channel)
  }
})

test('another blade comes in by none, with a certificate as good as it may be', () => {
  for (const channel of Object.keys(PEER_CHANNELS) as PeerChannel[]) {
    assert.equal(code(decideDoor(header(channel), 'blade03', preparedMove())), 'not-allowed', channel)
  }
})

test('a move nobody announced, another VM, and a move that leaves from here are not found', () => {
  assert.equal(code(decideDoor(header('begin'), 'blade01', undefined)), 'not-found')
  assert.equal(code(decideDoor(header('begin'), 'blade01', preparedMove({ vmId: 'vm-2' }))), 'not-found')
  assert.equal(code(decideDoor(header('begin'), 'blade01', preparedMove({ direction: 'out' }))), 'not-found')
})

test('after the source let go nothing may drop or overwrite the VM, but the word may be repeated', () => {
  const expected: Record<string, readonly PeerChannel[]> = {
    released: ['released', 'state'],
    confirmed: ['released', 'state'],
    discarded: ['state'],
  }
  for (const [state, allowed] of Object.entries(expected)) {
    const open = (Object.keys(PEER_CHANNELS) as PeerChannel[]).filter(
      channel => decideDoor(header(channel), 'blade01', preparedMove({ state: state as MoveState })).open,
    )
    assert.deepEqual(open.sort(), [...allowed].sort(), state)
  }
})

test('a header of another version with a field more is read, one of an unknown channel is not', () => {
  const line = JSON.stringify({ ...header('state'), colour: 'blue' })
  assert.deepEqual(parseHeader(line), header('state'))
  assert.throws(() => parseHeader('{"channel":"everything","moveId":"m1","vmId":"v"}'), { code: 'bad-input' })
  assert.throws(() => parseHeader('{"channel":'), { code: 'bad-input' })
})

test('the error a peer answers is thrown with its own code, and an unknown code is a defect', () => {
  assert.throws(() => parseAnswer('{"ok":false,"code":"refused","message":"no"}'), {
    code: 'refused',
    message: 'no',
  })
  assert.throws(() => parseAnswer('{"ok":false,"code":"martian"}'), { code: 'internal' })
})
