import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { brakeOn } from '../../../../controller/evacuation/brakes.ts'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'
import { openCase } from '../../../fakes/fleet-builder.ts'

describe('a brake that is pulled while a blade is emptied', () => {
  let stage: EvacuationStage
  beforeEach(() => {
    stage = evacuationStage()
  })
  afterEach(() => stage.close())

  /** As the controller asks, on the blades of the stage. */
  const pull = (paused: boolean, ...bad: string[]) => {
    const cases = bad.map(blade => openCase(blade))
    stage.brake = brakeOn({ paused }, cases, stage.fleet.snapshot(stage.now).blades)
  }
  const told = () => stage.evacuations.advance().map(each => each.text)

  it('a pause holds back an automatic one and says so, and it goes on when the pause is over', () => {
    const id = stage.begin('c1')
    pull(true)
    assert.match(
      told().join(),
      new RegExp(
        `blade01 \\(operation ${id}\\) waits with 4 moves, for automation is paused; .lifeboat automation resume.`,
      ),
    )
    assert.equal(stage.started.length, 0)
    pull(false)
    assert.deepEqual(told(), [])
    assert.equal(stage.started.length, 2)
  })

  it('more bad blades at once than are allowed hold it back too: moves under way end, no other begins', () => {
    const id = stage.begin('c1')
    pull(false, 'blade01')
    assert.deepEqual(told(), [])
    const [first] = stage.started
    pull(false, 'blade01', 'blade02')
    stage.finish(first?.vm.name ?? '', 'done')
    assert.match(
      told().join(),
      /waits with 2 moves, for 2 of 3 blades look bad at once .*rule 10\); .*lifeboat operation abort/,
    )
    assert.equal(stage.started.length, 2)
    assert.deepEqual(
      stage.states(id).map(state => state.split(' ')[1]),
      ['done', 'running', 'planned', 'planned'],
    )
  })

  it('when it goes on each move is asked of the gate again, and planned anew where its target is bad now', () => {
    const id = stage.begin('c1')
    pull(true)
    told()
    const target = stage.store.evacuations.get(id)?.moves[0]?.to ?? ''
    stage.store.blades.update(target, { admin: 'cordoned' })
    pull(false)
    told()
    told()
    assert.ok(stage.started.length > 0)
    assert.ok(stage.started.every(move => move.to !== target))
  })

  it('one that a person asked for goes on', () => {
    stage.begin()
    pull(true, 'blade01', 'blade02')
    assert.deepEqual(told(), [])
    assert.equal(stage.started.length, 2)
  })

  it('of one whose last moves are under way nothing is said: nothing of it is held back', () => {
    stage.begin('c1')
    for (const name of ['a', 'b']) {
      told()
      if (stage.started.some(move => move.vm.name === name)) stage.finish(name, 'done')
    }
    told()
    pull(true)
    assert.deepEqual(told(), [])
  })
})
