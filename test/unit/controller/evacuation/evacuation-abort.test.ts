import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'

describe('an evacuation that is aborted', () => {
  let stage: EvacuationStage
  beforeEach(() => {
    stage = evacuationStage()
  })
  afterEach(() => stage.close())

  it('aborted, it aborts what works and begins nothing more', () => {
    const id = stage.begin()
    stage.evacuations.advance()
    stage.evacuations.abort(id, 'anna')
    stage.evacuations.advance()
    assert.equal(stage.started.length, 2)
    assert.equal(stage.store.operations.get(id)?.state, 'undone')
    assert.equal(stage.store.evacuations.active().length, 0)
  })

  it('killed half way through an abort, it aborts what still works', () => {
    const id = stage.begin()
    stage.evacuations.advance()
    stage.store.evacuations.setState(id, 'aborting', 0)
    stage.boot()
    stage.evacuations.advance()
    assert.ok(stage.store.operations.active().every(operation => operation.kind === 'evacuate'))
    stage.evacuations.advance()
    assert.equal(stage.store.operations.get(id)?.state, 'undone')
    assert.equal(stage.started.length, 2)
  })
})
