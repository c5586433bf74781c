import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { alertHandlers } from '../../../../controller/api/alerts.ts'
import type { ApiContext } from '../../../../controller/api/context.ts'
import { bygoneEvacuations, settleBygone } from '../../../../controller/evacuation/bygone.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'
import { openCase } from '../../../fakes/fleet-builder.ts'

describe('an evacuation that left a VM on its blade speaks of it until nobody has to look any more', () => {
  let stage: EvacuationStage
  let id: string

  beforeEach(() => {
    stage = evacuationStage()
    stage.store.blades.update('blade01', { admin: 'cordoned' })
    stage.fleet.touch()
    id = empty()
  })
  afterEach(() => stage.close())

  /** All leave blade01 but the VM a. */
  const empty = (): string => {
    const operation = stage.begin()
    for (let pass = 0; pass < 6; pass += 1) {
      stage.evacuations.advance()
      for (const move of stage.store.operations.active()) {
        if (move.kind !== 'move') continue
        if (move.vm === 'a') stage.finish('a', 'undone')
        else stage.arrive(move.vm, move.from, move.to)
      }
    }
    assert.equal(stage.store.operations.get(operation)?.state, 'needs-admin')
    return operation
  }
  const bygone = () => bygoneEvacuations(stage.store, stage.fleet.snapshot(stage.now)).map(each => each.id)
  const vmsOf = (blade: string) => stage.store.blades.get(blade)?.report?.vms ?? []

  it('as long as the VM is there and the blade is not back in service', () => {
    assert.deepEqual(bygone(), [])
    // On another blade nothing has changed for it.
    stage.report('blade02', [])
    assert.deepEqual(bygone(), [])
  })

  it('until the VM has been moved away', () => {
    const here = vmsOf('blade01')
    stage.report('blade01', [])
    stage.report('blade03', [...vmsOf('blade03'), ...here])
    assert.deepEqual(bygone(), [id])
  })

  it('until the VM is gone altogether', () => {
    stage.report('blade01', [])
    assert.deepEqual(bygone(), [id])
  })

  it('until the blade is in service, healthy and heard', () => {
    stage.store.cases.save(openCase('blade01'))
    stage.store.blades.update('blade01', { admin: 'in-service' })
    stage.fleet.touch()
    assert.deepEqual(bygone(), [], 'in service, but its mirror is degraded')
    stage.store.cases.save(openCase('blade01', { closedAt: stage.now }))
    stage.fleet.touch()
    assert.deepEqual(bygone(), [id])
    stage.now += 1e11
    assert.deepEqual(bygone(), [], 'silent: the VM may be there still')
  })

  it('until the blade is emptied anew: then that one speaks for it', () => {
    const anew = stage.begin()
    assert.deepEqual(bygone(), [id])
    stage.evacuations.advance()
    stage.finish('a', 'undone')
    stage.evacuations.advance()
    assert.equal(stage.store.operations.get(anew)?.state, 'needs-admin')
    assert.deepEqual(bygone(), [id])
  })

  it('and again when emptying it anew is aborted: the VM is in the same danger, and nobody else tells of it', () => {
    const settle = () =>
      settleBygone(
        stage.store,
        bygoneEvacuations(stage.store, stage.fleet.snapshot(stage.now)),
        [],
        stage.now,
      )
    const anew = stage.begin()
    // It takes longer than the case needs to close.
    settle()
    stage.evacuations.abort(anew, 'anna')
    stage.evacuations.advance()
    assert.equal(stage.store.operations.get(anew)?.state, 'undone')
    assert.deepEqual(bygone(), [])
    settle()
    assert.deepEqual(
      stage.store.operations.unsettled().map(each => each.id),
      [id],
    )
    stage.report('blade01', [])
    assert.deepEqual(bygone(), [id])
  })

  it('an acknowledgement ends nothing; only of an operation that ended half way nothing else could tell', async () => {
    const { store } = stage
    const words = { title: '', text: '', nextCommand: '', blade: 'blade01', blades: ['blade01'], caseKey: '' }
    const unread = {
      acknowledgedBy: '',
      acknowledgedAt: 0,
      acknowledgedNote: '',
      deliveredAt: 0,
      revision: 1,
    }
    const rest = { ...words, ...unread, severity: 'moderate', subject: id, raisedAt: 1, clearedAt: 0 }
    store.alerts.add({ ...rest, id: 'a1', code: 'evacuation-incomplete' })
    store.alerts.add({ ...rest, id: 'a2', code: 'operation-needs-admin', caseKey: 'another' })
    const clock = { now: () => stage.now, sleep: async () => {} }
    const api = alertHandlers({ store, clock, log: silentLogger, nudge: () => {} } as unknown as ApiContext)
    await api.acknowledgeAlert({ id: 'a1', note: 'on my way' }, 'anna')
    assert.equal(store.alerts.get('a1')?.acknowledgedBy, 'anna')
    assert.equal(store.operations.unsettled().length, 1)
    await api.acknowledgeAlert({ id: 'a2', note: 'put right' }, 'anna')
    assert.equal(store.operations.unsettled().length, 0)
  })

  it('and is settled for good when its case has closed, not while that may be found again', () => {
    stage.store.blades.update('blade01', { admin: 'in-service' })
    stage.fleet.touch()
    const over = bygoneEvacuations(stage.store, stage.fleet.snapshot(stage.now))
    const quiet = openCase('blade01', { code: 'evacuation-incomplete', subject: id, quietSince: stage.now })
    settleBygone(stage.store, over, [quiet], stage.now)
    assert.equal(stage.store.operations.get(id)?.settledAt, 0)
    settleBygone(stage.store, over, [], stage.now)
    assert.equal(stage.store.operations.get(id)?.settledAt, stage.now)
    // The next thing that goes wrong with the blade does not bring the old story back.
    stage.store.blades.update('blade01', { admin: 'cordoned' })
    stage.fleet.touch()
    assert.deepEqual([bygone(), stage.store.operations.unsettled()], [[], []])
  })
})
