import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { moveSaga } from '../../../../controller/operations/move-saga.ts'
import { EMPTY_OPERATION } from '../../../../controller/store/operations.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'
import { noVaults } from '../../../fakes/no-vaults.ts'

describe('VMs that are kept together come to the target together, or not at all', () => {
  let stage: EvacuationStage
  let id: string
  beforeEach(() => {
    const couple = { name: 'couple', vms: ['a', 'b'], hard: true, across: 'blade' } as const
    stage = evacuationStage({ groups: [{ ...couple, kind: 'together' }] })
    id = stage.begin()
    stage.evacuations.advance()
  })
  afterEach(() => stage.close())

  const moveOf = (vmName: string) => {
    const move = stage.store.evacuations.get(id)?.moves.find(each => each.vm === vmName)
    assert.ok(move, `no move of ${vmName}`)
    return move
  }

  it('the second begins while the first is on its way', () => {
    assert.equal(moveOf('a').to, moveOf('b').to)
    assert.deepEqual([moveOf('a').state, moveOf('b').state], ['running', 'planned'])
    // The copy is made, which leaves the slot to the next.
    stage.store.operations.update(moveOf('a').operation, {
      steps: [{ name: 'send', state: 'done', startedAt: 1, endedAt: 2, error: '' }],
    })
    stage.evacuations.advance()
    assert.equal(moveOf('b').state, 'running')
  })

  it('the second stays with the first, when the move of the first has failed', () => {
    stage.finish('a', 'undone')
    stage.evacuations.advance()
    assert.ok(!stage.started.some(move => move.vm.name === 'b'))
    assert.equal(moveOf('b').state, 'skipped')
    assert.match(moveOf('b').error, /a is on blade01, and rule 'couple' keeps it together with b/)
  })

  /** The second look at the move, when its own operation keeps the room. */
  const reserve = async () => {
    const { vmId, vm, from, to } = moveOf('b')
    const operation = { ...EMPTY_OPERATION, id: 'o99', startedAt: stage.now, deadlineAt: 9e12 }
    stage.store.operations.add({ ...operation, parent: id, vmId, vm, from, to })
    await moveSaga.steps[0]?.do({
      sagaId: 'o99',
      params: { vmId, vm, from, to, method: 'live', override: false, graceMs: 1, deadlineAt: 9e12 },
      services: {
        ...noVaults,
        store: stage.store,
        fleet: stage.fleet,
        clock: { now: () => stage.now, sleep: async () => {} },
        log: silentLogger,
        orders: { execute: () => assert.fail(), received: () => {}, connected: () => {}, close: () => {} },
      },
      results: {},
      signal: new AbortController().signal,
      progress: () => {},
    })
  }

  it('the operation of the second keeps its room while the first is on its way', reserve)

  it('and is refused when the first has failed in between', async () => {
    stage.finish('a', 'undone')
    stage.store.evacuations.updateMove(id, moveOf('a').seq, { state: 'failed' })
    await assert.rejects(reserve, { code: 'refused' })
  })
})
