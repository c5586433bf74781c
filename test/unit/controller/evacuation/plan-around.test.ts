import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { heededByMigration, planAround, withPlanned } from '../../../../controller/evacuation/plan-around.ts'
import { planMove } from '../../../../controller/placement/make-plan.ts'
import { roomsOf, usedMemoryBytes } from '../../../../controller/placement/room.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { soundCapacity, vm } from '../../../fakes/agent-reports.ts'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'

/** So many blades of so many GiB, and where the VMs are: name and GiB. */
type Layout = Readonly<
  Record<string, { readonly gib: number; readonly vms: Readonly<Record<string, number>> }>
>

describe('two blades are emptied at the same time', () => {
  let stage: EvacuationStage
  beforeEach(() => {
    stage = evacuationStage()
  })
  afterEach(() => stage.close())

  const ids = new Map<string, string>()
  const lay = (layout: Layout) => {
    let number = 0
    for (const [blade, { gib, vms }] of Object.entries(layout)) {
      const there = Object.entries(vms).map(([name, size]) => {
        number += 1
        return vm(name, number, { memoryBytes: size * GIB })
      })
      for (const each of there) ids.set(each.name, each.id)
      stage.add(blade)
      stage.report(blade, there, { ...soundCapacity(), memoryBytes: gib * GIB, reservedMemoryBytes: 0 })
    }
  }
  const empty = (blade: string, caseId = '') => {
    const request = { blade, cause: 'test', caseKey: caseId, caseId, requestedBy: 'anna' }
    const { operation } = stage.evacuations.begin(request)
    stage.store.blades.update(blade, { admin: 'cordoned' })
    return operation.id
  }
  const planned = (id: string) =>
    (stage.store.evacuations.get(id)?.moves ?? [])
      .filter(move => move.state === 'planned' || move.state === 'running')
      .map(move => `${move.vm} to ${move.to}`)
      .sort()
  /** Passes, and each move under way arrives, until nothing moves. */
  const play = () => {
    for (let pass = 0; pass < 20; pass += 1) {
      stage.evacuations.advance()
      for (const move of stage.store.operations.active())
        if (move.kind !== 'evacuate') stage.arrive(move.vm, move.from, move.to)
    }
  }
  const end = (id: string) => stage.store.operations.get(id)?.state

  const narrow: Layout = {
    blade01: { gib: 16, vms: { first: 6 } },
    blade02: { gib: 16, vms: { large: 6, small: 4 } },
    blade03: { gib: 10, vms: {} },
    blade04: { gib: 6, vms: {} },
  }

  it('the second is planned around what the first has yet to begin, and both end well', () => {
    lay(narrow)
    const first = empty('blade01')
    assert.deepEqual(planned(first), ['first to blade03'])
    assert.deepEqual(
      stage.evacuations
        .plan({ blade: 'blade02', cause: 'asked' })
        .moves.map(move => `${move.vm} to ${move.to}`)
        .sort(),
      ['large to blade04', 'small to blade03'],
      'what is shown is what would be begun',
    )
    const second = empty('blade02')
    assert.deepEqual(planned(second), ['large to blade04', 'small to blade03'])
    play()
    assert.deepEqual([end(first), end(second)], ['done', 'done'])
    assert.equal(stage.started.length, 3, 'no move was planned anew')
  })

  it('what the first has planned holds room at both of its ends', () => {
    lay(narrow)
    empty('blade01')
    const view = withPlanned(stage.fleet.snapshot(stage.now), stage.store.evacuations.active())
    const used = [...roomsOf(view)].map(([name, room]) => `${name} ${usedMemoryBytes(room) / GIB}`)
    assert.deepEqual(used, ['blade01 6', 'blade02 10', 'blade03 6', 'blade04 0'])
  })

  it('the first has failed: the second gets there all the same, and nobody waits for anybody', () => {
    lay(narrow)
    const first = empty('blade01')
    const second = empty('blade02')
    stage.poisoned = ids.get('first') ?? ''
    play()
    assert.deepEqual([end(first), end(second)], ['needs-admin', 'done'])
  })

  it('a VM of the first that is planned anew takes the place of the second when there is no other', () => {
    lay(narrow)
    const first = empty('blade01')
    const second = empty('blade02')
    assert.deepEqual(planned(second), ['large to blade04', 'small to blade03'])
    stage.store.blades.update('blade03', { admin: 'cordoned' })
    play()
    assert.deepEqual([end(first), end(second)], ['done', 'needs-admin'])
    assert.match(
      stage.store.evacuations.get(second)?.moves.find(move => move.vm === 'large')?.error ?? '',
      /blade04 is to take VMs of an evacuation that was begun earlier/,
    )
  })

  it('a VM of the second that is planned anew does not take the place of the first, though it could be there sooner', () => {
    lay({
      blade01: { gib: 22, vms: { a: 8, b: 8, c: 6 } },
      blade02: { gib: 6, vms: { large: 6 } },
      blade03: { gib: 8, vms: {} },
      blade04: { gib: 8, vms: {} },
      blade05: { gib: 6, vms: {} },
      blade06: { gib: 6, vms: {} },
    })
    const first = empty('blade01')
    const second = empty('blade02')
    const target = planned(second)[0]?.replace('large to ', '') ?? ''
    assert.match(target, /blade0[56]/)
    stage.store.blades.update(target, { admin: 'cordoned' })
    play()
    assert.deepEqual([end(first), end(second)], ['done', 'needs-admin'])
  })

  it('a VM that is planned anew goes around the others of its own blade too', () => {
    lay({
      blade01: { gib: 16, vms: { a: 6, b: 5 } },
      blade02: { gib: 2, vms: {} },
      blade03: { gib: 12, vms: {} },
      blade04: { gib: 8, vms: {} },
    })
    const id = empty('blade01')
    assert.deepEqual(planned(id), ['a to blade03', 'b to blade04'])
    stage.store.blades.update('blade03', { admin: 'cordoned' })
    stage.add('blade05')
    stage.report('blade05', [], { ...soundCapacity(), memoryBytes: 6 * GIB, reservedMemoryBytes: 0 })
    play()
    assert.deepEqual(stage.started.map(move => `${move.vm.name} to ${move.to}`).sort(), [
      'a to blade05',
      'b to blade04',
    ])
  })

  it('what a brake holds keeps its room as long as there is other room', () => {
    lay(narrow)
    empty('blade01', 'case-1')
    stage.brake = { why: 'a test', release: 'it ends' }
    assert.deepEqual(planned(empty('blade02')), ['large to blade04', 'small to blade03'])
  })

  it('and no longer, when somebody is ordered to where it was to go', () => {
    lay({ ...narrow, blade04: { gib: 2, vms: {} } })
    empty('blade01', 'case-1')
    stage.brake = { why: 'a test', release: 'it ends' }
    assert.deepEqual(planned(empty('blade02')), ['large to blade03', 'small to blade03'])
  })

  it('an even load keeps no room from a blade that is emptied: it gives way', () => {
    lay({
      blade01: { gib: 16, vms: { even: 6 } },
      blade02: { gib: 16, vms: { must: 6 } },
      blade03: { gib: 8, vms: {} },
      blade04: { gib: 2, vms: {} },
    })
    stage.store.blades.update('blade01', { admin: 'cordoned' })
    const request = { blade: '', cause: 'rebalance', caseKey: '', caseId: '', requestedBy: 'anna' }
    stage.evacuations.beginPlan(request, (snapshot, head) =>
      planMove(snapshot, { ...head, vmId: ids.get('even') ?? '', to: 'blade03', cause: 'rebalance' }),
    )
    assert.deepEqual(planned(empty('blade02')), ['must to blade03'])
  })

  it('a person who names no blade is led past it, who names it has it', () => {
    lay({ ...narrow, blade05: { gib: 16, vms: { mine: 5 } } })
    empty('blade01')
    const migrate = (to: string) => {
      const head = { vmId: ids.get('mine') ?? '', id: 'p9', cause: 'asked', now: stage.now }
      const heeded = heededByMigration(stage.store.evacuations.active())
      return planAround(stage.fleet.snapshot(stage.now), heeded, view =>
        planMove(view, to === '' ? head : { ...head, to }),
      ).moves.map(move => move.to)
    }
    stage.store.blades.update('blade02', { admin: 'cordoned' })
    assert.deepEqual(migrate(''), ['blade04'])
    assert.deepEqual(migrate('blade03'), ['blade03'])
    stage.store.blades.update('blade04', { admin: 'cordoned' })
    assert.deepEqual(migrate(''), ['blade03'], 'where there is no choice he has it too')
  })
})
