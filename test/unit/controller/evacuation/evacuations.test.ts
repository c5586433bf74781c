import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { planMove } from '../../../../controller/placement/make-plan.ts'
import { vm } from '../../../fakes/agent-reports.ts'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'

describe('an evacuation moves on pass by pass', () => {
  let stage: EvacuationStage
  beforeEach(() => {
    stage = evacuationStage()
  })
  afterEach(() => stage.close())

  it('starts as many as source and target may carry, and the next when one has ended', () => {
    const id = stage.begin()
    stage.evacuations.advance()
    assert.equal(stage.started.length, 2)
    assert.equal(new Set(stage.started.map(move => move.to)).size, 2, 'one per target')
    stage.evacuations.advance()
    assert.equal(stage.started.length, 2)
    stage.finish(stage.started[0]?.vm.name ?? '', 'done')
    stage.evacuations.advance()
    assert.equal(stage.started.length, 3)
    assert.equal(stage.states(id).filter(state => state.endsWith('done')).length, 1)
  })

  it('goes on after a failure, does not retry that VM, and ends with what is left', () => {
    const id = stage.begin()
    for (let pass = 0; pass < 6; pass += 1) {
      stage.evacuations.advance()
      for (const operation of stage.store.operations.active()) {
        if (operation.kind === 'move') stage.finish(operation.vm, operation.vm === 'a' ? 'undone' : 'done')
      }
    }
    assert.equal(stage.started.filter(move => move.vm.name === 'a').length, 1)
    const operation = stage.store.operations.get(id)
    assert.equal(operation?.state, 'needs-admin')
    assert.match(operation?.outcome ?? '', /3 of 4 VMs moved in .*; left on blade01: a \(a undone\)/)
  })

  it('leaves alone what an administrator has moved meanwhile', () => {
    const id = stage.begin()
    const [first] = stage.store.evacuations.get(id)?.moves ?? []
    assert.ok(first)
    const vms = stage.store.blades.get('blade01')?.report?.vms ?? []
    stage.report(
      'blade01',
      vms.filter(each => each.id !== first.vmId),
    )
    stage.report(
      'blade03',
      vms.filter(each => each.id === first.vmId),
    )
    stage.evacuations.advance()
    assert.ok(!stage.started.some(move => move.vm.id === first.vmId))
    const skipped = stage.store.evacuations.get(id)?.moves.find(move => move.vmId === first.vmId)
    assert.match(skipped?.error ?? '', /it is on blade03 already/)
  })

  it('goes on past a move that cannot even begin', () => {
    const id = stage.begin()
    stage.poisoned = stage.store.evacuations.get(id)?.moves[0]?.vmId ?? ''
    stage.evacuations.advance()
    assert.equal(stage.started.length, 2)
    assert.deepEqual(
      stage.store.evacuations.get(id)?.moves.map(move => move.state),
      ['failed', 'running', 'running', 'planned'],
    )
  })

  it('an even load waits for a blade that is emptied, and goes on behind it', () => {
    stage.report('blade03', [vm('x', 7)])
    const request = { blade: '', cause: 'rebalance', caseKey: '', caseId: '', requestedBy: 'anna' }
    const rebalance = stage.evacuations.beginPlan(request, (snapshot, head) =>
      planMove(snapshot, { ...head, vmId: vm('x', 7).id, to: 'blade02', cause: 'rebalance' }),
    ).operation.id
    const evacuation = stage.begin('case-1')
    const held = stage.evacuations.advance()
    assert.ok(!stage.started.some(move => move.vm.name === 'x'))
    assert.match(
      held.map(each => each.text).join(),
      /the rebalancing .* waits with 1 move until blade01 is empty/,
    )
    assert.deepEqual(stage.states(rebalance), ['x planned'])
    stage.evacuations.abort(evacuation, 'anna')
    stage.evacuations.advance()
    assert.deepEqual(stage.evacuations.advance(), [])
    assert.ok(stage.started.some(move => move.vm.name === 'x'))
  })

  it('goes on where it was after a restart', () => {
    const id = stage.begin()
    stage.evacuations.advance()
    stage.boot()
    stage.evacuations.advance()
    assert.equal(stage.started.length, 2)
    for (const move of stage.started) stage.finish(move.vm.name, 'done')
    stage.evacuations.advance()
    assert.equal(stage.started.length, 4)
    assert.equal(stage.states(id).filter(state => state.endsWith('running')).length, 2)
  })

  it('killed between the start of a move and the note of it, it knows the move again and does not repeat it', () => {
    const id = stage.begin()
    stage.evacuations.advance()
    const lost = stage.store.evacuations.get(id)?.moves.find(move => move.state === 'running')
    assert.ok(lost)
    stage.store.operations.update(lost.operation, { plan: lost.plan })
    stage.store.evacuations.updateMove(id, lost.seq, { state: 'planned', operation: '' })
    stage.finish(lost.vm, 'undone')
    stage.boot()
    stage.evacuations.advance()
    assert.equal(stage.started.filter(move => move.vm.id === lost.vmId).length, 1)
    assert.equal(stage.store.evacuations.get(id)?.moves.find(move => move.seq === lost.seq)?.state, 'failed')
  })

  it('does not begin twice on one blade', () => {
    const id = stage.begin()
    assert.throws(
      () => stage.begin(),
      new RegExp(`blade01 is being emptied already; lifeboat operation watch ${id}`),
    )
  })
})
