import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'

describe('a move whose target no longer takes its VM', () => {
  let stage: EvacuationStage
  beforeEach(() => {
    stage = evacuationStage()
  })
  afterEach(() => stage.close())

  it('plans a VM anew, once, when its target no longer takes it', () => {
    const id = stage.begin()
    const target = stage.store.evacuations.get(id)?.moves[0]?.to ?? ''
    stage.store.blades.update(target, { admin: 'cordoned' })
    stage.evacuations.advance()
    const moves = stage.store.evacuations.get(id)?.moves ?? []
    const first = moves.filter(move => move.vmId === moves[0]?.vmId)
    assert.deepEqual(
      first.map(move => move.state),
      ['skipped', 'planned'],
    )
    assert.notEqual(first[1]?.to, target)
    assert.notEqual(first[1]?.plan, first[0]?.plan)
    assert.ok(stage.store.plans.get(first[1]?.plan ?? ''), 'the new plan is stored too')
    for (const name of ['blade02', 'blade03']) stage.store.blades.update(name, { admin: 'cordoned' })
    stage.evacuations.advance()
    assert.equal(
      stage.store.evacuations.get(id)?.moves.filter(move => move.vmId === moves[0]?.vmId).length,
      2,
    )
  })

  it('killed while it plans a VM anew, it plans it anew when it is back', () => {
    const id = stage.begin()
    const [first] = stage.store.evacuations.get(id)?.moves ?? []
    stage.store.blades.update(first?.to ?? '', { admin: 'cordoned' })
    const { plans } = stage.store
    stage.store = { ...stage.store, plans: { ...plans, add: () => assert.fail('killed') } }
    stage.boot()
    assert.throws(() => stage.evacuations.advance(), /killed/)
    stage.store = { ...stage.store, plans }
    stage.boot()
    stage.evacuations.advance()
    const moves = stage.store.evacuations.get(id)?.moves.filter(move => move.vmId === first?.vmId)
    assert.deepEqual(
      moves?.map(move => move.state),
      ['skipped', 'planned'],
    )
  })
})
