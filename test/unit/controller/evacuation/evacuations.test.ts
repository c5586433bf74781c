import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { createEvacuations, type Evacuations } from '../../../../controller/evacuation/evacuations.ts'
import { createFleetState, type FleetState } from '../../../../controller/fleet/fleet-state.ts'
import type { NewMove } from '../../../../controller/operations/new-operations.ts'
import type { Operations } from '../../../../controller/operations/operations.ts'
import { planMove } from '../../../../controller/placement/make-plan.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { EMPTY_OPERATION, type OperationRecord } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { soundCapacity, vm } from '../../../fakes/agent-reports.ts'

const START = 1_000_000
let now = START
const CLOCK = { now: () => now, sleep: async () => {} }

describe('an evacuation moves on pass by pass', () => {
  let store: Store
  let fleet: FleetState
  let evacuations: Evacuations
  let started: NewMove[]
  let isPaused: boolean
  /** The VM whose operation cannot be started. */
  let poisoned: string

  beforeEach(() => {
    now = START
    store = openStore(':memory:')
    const limits = {
      maxVmsPerBlade: 4,
      rules: NO_RULES,
      liveness: { suspectAfterMs: 1e9, silentAfterMs: 1e10 },
    }
    fleet = createFleetState({ store, log: silentLogger, limits })
    started = []
    isPaused = false
    poisoned = ''
    boot()
    for (const name of ['blade01', 'blade02', 'blade03']) {
      store.blades.add({ name, chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
      store.blades.update(name, { joinedAt: 1 })
      report(
        name,
        name === 'blade01' ? ['a', 'b', 'c', 'd'].map((vmName, index) => vm(vmName, index + 1)) : [],
      )
    }
  })
  afterEach(() => store.close())

  const boot = () => {
    const limits = { concurrentPerSource: 2, concurrentPerTarget: 1, moveDeadlineMs: 1000 }
    evacuations = createEvacuations(
      { store, fleet, clock: CLOCK, log: silentLogger },
      playedOperations(),
      limits,
      () => isPaused,
    )
  }
  const report = (blade: string, vms: Vm[]) =>
    fleet.accept(
      blade,
      { sequence: 1, observedAt: 1, facts: [], vms, capacity: soundCapacity(), complete: true },
      CLOCK.now(),
    )
  const begin = (caseId = '') =>
    evacuations.begin({ blade: 'blade01', cause: 'test', caseKey: caseId, caseId, requestedBy: 'anna' })
      .operation.id
  const states = (id: string) => store.evacuations.get(id)?.moves.map(move => `${move.vm} ${move.state}`)
  const finish = (name: string, state: 'done' | 'undone') => {
    const operation = store.operations.active().find(each => each.vm === name)
    assert.ok(operation)
    store.operations.update(operation.id, { state, endedAt: 2, outcome: `${name} ${state}` })
    const moved = store.blades.get('blade01')?.report?.vms.find(each => each.name === name)
    if (state === 'done' && moved !== undefined)
      store.vms.place(moved.id, operation.to, CLOCK.now() + 1, moved)
  }

  /** Operations without sagas: the row is all that the evacuation looks at. */
  const playedOperations = (): Operations => {
    const add = (fields: Partial<OperationRecord>) => {
      const id = `o${store.settings.nextNumber('operation')}`
      const operation: OperationRecord = { ...EMPTY_OPERATION, id, startedAt: 1, deadlineAt: 9e12, ...fields }
      store.operations.add(operation)
      return operation
    }
    return {
      startMove: move => {
        if (move.vm.id === poisoned) throw new Error('the journal does not take it')
        started.push(move)
        return add({
          vmId: move.vm.id,
          vm: move.vm.name,
          from: move.vm.blade,
          to: move.to,
          parent: move.parent,
        })
      },
      addParent: fields => add({ ...fields, kind: 'evacuate', deadlineAt: 9e12 }),
      setState: (id, state, words) =>
        store.operations.update(id, { state, ...words, ...(state === 'aborting' ? {} : { endedAt: 3 }) }),
      abort: id => store.operations.update(id, { state: 'undone', endedAt: 3 }),
      startAction: () => assert.fail('not here'),
      startBackup: () => assert.fail('not here'),
      startRestore: () => assert.fail('not here'),
      startBootTest: () => assert.fail('not here'),
      progress: () => ({ doneBytes: 0, totalBytes: 0 }),
      prune: () => 0,
      resume: () => {},
      close: async () => {},
    }
  }

  it('starts as many as source and target may carry, and the next when one has ended', () => {
    const id = begin()
    evacuations.advance()
    assert.equal(started.length, 2)
    assert.equal(new Set(started.map(move => move.to)).size, 2, 'one per target')
    evacuations.advance()
    assert.equal(started.length, 2)
    finish(started[0]?.vm.name ?? '', 'done')
    evacuations.advance()
    assert.equal(started.length, 3)
    assert.equal(states(id)?.filter(state => state.endsWith('done')).length, 1)
  })

  it('goes on after a failure, does not retry that VM, and ends with what is left', () => {
    const id = begin()
    for (let pass = 0; pass < 6; pass += 1) {
      evacuations.advance()
      for (const operation of store.operations.active()) {
        if (operation.kind === 'move') finish(operation.vm, operation.vm === 'a' ? 'undone' : 'done')
      }
    }
    assert.equal(started.filter(move => move.vm.name === 'a').length, 1)
    const operation = store.operations.get(id)
    assert.equal(operation?.state, 'needs-admin')
    assert.match(operation?.outcome ?? '', /3 of 4 VMs moved in .*; left on blade01: a \(a undone\)/)
  })

  it('plans a VM anew, once, when its target no longer takes it', () => {
    const id = begin()
    const target = store.evacuations.get(id)?.moves[0]?.to ?? ''
    store.blades.update(target, { admin: 'cordoned' })
    evacuations.advance()
    const moves = store.evacuations.get(id)?.moves ?? []
    const first = moves.filter(move => move.vmId === moves[0]?.vmId)
    assert.deepEqual(
      first.map(move => move.state),
      ['skipped', 'planned'],
    )
    assert.notEqual(first[1]?.to, target)
    assert.notEqual(first[1]?.plan, first[0]?.plan)
    assert.ok(store.plans.get(first[1]?.plan ?? ''), 'the new plan is stored too')
    for (const name of ['blade02', 'blade03']) store.blades.update(name, { admin: 'cordoned' })
    evacuations.advance()
    assert.equal(store.evacuations.get(id)?.moves.filter(move => move.vmId === moves[0]?.vmId).length, 2)
  })

  it('killed while it plans a VM anew, it plans it anew when it is back', () => {
    const id = begin()
    const [first] = store.evacuations.get(id)?.moves ?? []
    store.blades.update(first?.to ?? '', { admin: 'cordoned' })
    const { plans } = store
    store = { ...store, plans: { ...plans, add: () => assert.fail('killed') } }
    boot()
    assert.throws(() => evacuations.advance(), /killed/)
    store = { ...store, plans }
    boot()
    evacuations.advance()
    const moves = store.evacuations.get(id)?.moves.filter(move => move.vmId === first?.vmId)
    assert.deepEqual(
      moves?.map(move => move.state),
      ['skipped', 'planned'],
    )
  })

  /** 14 GiB fit on neither of the other two while `small` is where it is. */
  const tight = () => {
    report('blade01', [vm('large', 1, { memoryBytes: 14 * GIB })])
    report('blade02', [vm('small', 2, { memoryBytes: 4 * GIB })])
    report('blade03', [vm('other', 3, { memoryBytes: 6 * GIB })])
    for (const blade of ['blade01', 'blade02', 'blade03']) {
      const known = store.blades.get(blade)?.report
      assert.ok(known)
      fleet.accept(
        blade,
        {
          ...known,
          sequence: 2,
          capacity: { ...known.capacity, memoryBytes: 16 * GIB, reservedMemoryBytes: 0 },
        },
        CLOCK.now(),
      )
    }
  }

  it('lets a VM step aside, and begins the move that needs its room when it has arrived', () => {
    tight()
    const id = begin()
    assert.deepEqual(
      store.evacuations
        .get(id)
        ?.moves.map(move => [move.vm, move.from, move.to, move.role, move.needs.length]),
      [
        ['small', 'blade02', 'blade03', 'makes-room', 0],
        ['large', 'blade01', 'blade02', 'leaves', 1],
      ],
    )
    evacuations.advance()
    evacuations.advance()
    assert.deepEqual(
      started.map(move => move.vm.name),
      ['small'],
    )
    boot()
    arrive('small', 'blade02', 'blade03')
    evacuations.advance()
    assert.deepEqual(
      started.map(move => move.vm.name),
      ['small', 'large'],
    )
    arrive('large', 'blade01', 'blade02')
    evacuations.advance()
    assert.match(store.operations.get(id)?.outcome ?? '', /^1 of 1 VMs moved in .*, 1 other stepped aside$/)
  })

  it('a VM whose room was not made has a plan of its own made, and stays with the reason when that finds none', () => {
    tight()
    const id = begin()
    evacuations.advance()
    finish('small', 'undone')
    evacuations.advance()
    evacuations.advance()
    assert.equal(started.length, 1)
    const operation = store.operations.get(id)
    assert.equal(operation?.state, 'needs-admin')
    assert.match(
      operation?.outcome ?? '',
      /left on blade01: large \(large needs 14 GiB of memory, blade02 has 12 GiB/,
    )
  })

  /** 80 GiB of disk fit on neither of the other two while `small` is where it is. */
  const tightDisks = () => {
    const disk = (gib: number): Vm['volumes'] =>
      vm('any', 9).volumes.map(volume => ({
        ...volume,
        path: `/dev/vg0/${gib}`,
        sizeBytes: gib * GIB,
        allocatedBytes: gib * GIB,
      }))
    report('blade01', [vm('large', 1, { volumes: disk(80) })])
    reportRoom('blade02', [vm('small', 2, { volumes: disk(60) })], 30, 0)
    reportRoom('blade03', [], 70, 0)
  }
  const reportRoom = (blade: string, vms: Vm[], free: number, kept: number) => {
    const capacity = soundCapacity()
    const pools = capacity.pools.map(pool => ({
      ...pool,
      freeBytes: free * GIB,
      reclaimableBytes: kept * GIB,
    }))
    const rest = { sequence: 3, observedAt: 1, facts: [], vms, complete: true }
    fleet.accept(blade, { ...rest, capacity: { ...capacity, pools } }, CLOCK.now())
  }
  /** The end of the operation is known; what the agents say next is not there yet. */
  const smallHasMoved = () => {
    const small = store.blades.get('blade02')?.report?.vms[0]
    const operation = store.operations.active().find(each => each.vm === 'small')
    assert.ok(small !== undefined && operation !== undefined)
    store.operations.update(operation.id, { state: 'done', endedAt: CLOCK.now(), outcome: 'small done' })
    store.vms.place(small.id, 'blade03', CLOCK.now(), small)
  }

  it('does not judge the room that was made by figures of before: it waits for the report that has it', () => {
    tightDisks()
    begin()
    evacuations.advance()
    now += 60_000
    smallHasMoved()
    evacuations.advance()
    now += 1_000
    reportRoom('blade02', [], 30, 0)
    evacuations.advance()
    assert.equal(started.length, 1)
    now += 4_000
    reportRoom('blade02', [], 30, 60)
    evacuations.advance()
    assert.deepEqual(
      started.map(move => `${move.vm.name} to ${move.to}`),
      ['small to blade03', 'large to blade02'],
    )
  })

  it('waits no longer than that report can take', () => {
    tightDisks()
    const id = begin()
    evacuations.advance()
    smallHasMoved()
    now += 16_000
    evacuations.advance()
    evacuations.advance()
    assert.match(
      store.operations.get(id)?.outcome ?? '',
      /left on blade01: large \(large needs 80 GiB in vg0/,
    )
  })

  /** The move is done and both blades have reported it. */
  const arrive = (name: string, from: string, to: string) => {
    const moved = store.blades.get(from)?.report?.vms.find(each => each.name === name)
    assert.ok(moved)
    const operation = store.operations.active().find(each => each.vm === name)
    store.operations.update(operation?.id ?? '', { state: 'done', endedAt: 2, outcome: `${name} done` })
    store.vms.place(moved.id, to, CLOCK.now(), moved)
    for (const [blade, vms] of [
      [from, (known: readonly Vm[]) => known.filter(each => each.name !== name)],
      [to, (known: readonly Vm[]) => [...known, moved]],
    ] as const) {
      const known = store.blades.get(blade)?.report
      assert.ok(known)
      fleet.accept(blade, { ...known, sequence: known.sequence + 1, vms: vms(known.vms) }, CLOCK.now())
    }
  }

  it('nobody steps aside for a VM that an administrator has taken away meanwhile', () => {
    tight()
    const id = begin()
    report('blade01', [])
    evacuations.advance()
    evacuations.advance()
    assert.deepEqual(started, [])
    assert.deepEqual(states(id), ['small skipped', 'large skipped'])
    assert.equal(store.operations.get(id)?.state, 'done')
  })

  it('waits for no VM on a blade that has fallen silent: the one that needs its room looks elsewhere at once', () => {
    tight()
    const id = begin()
    now += 2e10
    for (const blade of ['blade01', 'blade03']) {
      const known = store.blades.get(blade)?.report
      assert.ok(known)
      const vms = blade === 'blade03' ? [] : known.vms
      fleet.accept(blade, { ...known, sequence: 4, vms }, CLOCK.now())
    }
    evacuations.advance()
    evacuations.advance()
    assert.deepEqual(
      started.map(move => `${move.vm.name} to ${move.to}`),
      ['large to blade03'],
    )
    assert.deepEqual(states(id), ['small skipped', 'large skipped', 'large running'])
  })

  it('an even load waits for a blade that is emptied, and goes on behind it', () => {
    report('blade03', [vm('x', 7)])
    const request = { blade: '', cause: 'rebalance', caseKey: '', caseId: '', requestedBy: 'anna' }
    const rebalance = evacuations.beginPlan(request, (snapshot, head) =>
      planMove(snapshot, { ...head, vmId: vm('x', 7).id, to: 'blade02', cause: 'rebalance' }),
    ).operation.id
    const evacuation = begin('case-1')
    const held = evacuations.advance()
    assert.ok(!started.some(move => move.vm.name === 'x'))
    assert.match(
      held.map(each => each.text).join(),
      /the rebalancing .* waits with 1 moves until blade01 is empty/,
    )
    assert.deepEqual(states(rebalance), ['x planned'])
    evacuations.abort(evacuation, 'anna')
    evacuations.advance()
    assert.deepEqual(evacuations.advance(), [])
    assert.ok(started.some(move => move.vm.name === 'x'))
  })

  it('leaves alone what an administrator has moved meanwhile', () => {
    const id = begin()
    const [first] = store.evacuations.get(id)?.moves ?? []
    assert.ok(first)
    const vms = store.blades.get('blade01')?.report?.vms ?? []
    report(
      'blade01',
      vms.filter(each => each.id !== first.vmId),
    )
    report(
      'blade03',
      vms.filter(each => each.id === first.vmId),
    )
    evacuations.advance()
    assert.ok(!started.some(move => move.vm.id === first.vmId))
    const skipped = store.evacuations.get(id)?.moves.find(move => move.vmId === first.vmId)
    assert.match(skipped?.error ?? '', /it is on blade03 already/)
  })

  it('a pause holds back an automatic one and says so; one that a person asked for goes on', () => {
    const id = begin('c1')
    isPaused = true
    assert.match(evacuations.advance()[0]?.text ?? '', new RegExp(`operation ${id}\\) waits with 4 moves`))
    assert.equal(started.length, 0)
    isPaused = false
    assert.deepEqual(evacuations.advance(), [])
    assert.equal(started.length, 2)
  })

  it('goes on where it was after a restart', () => {
    const id = begin()
    evacuations.advance()
    boot()
    evacuations.advance()
    assert.equal(started.length, 2)
    for (const move of started) finish(move.vm.name, 'done')
    evacuations.advance()
    assert.equal(started.length, 4)
    assert.equal(states(id)?.filter(state => state.endsWith('running')).length, 2)
  })

  it('aborted, it aborts what works and begins nothing more', () => {
    const id = begin()
    evacuations.advance()
    evacuations.abort(id, 'anna')
    evacuations.advance()
    assert.equal(started.length, 2)
    assert.equal(store.operations.get(id)?.state, 'undone')
    assert.equal(store.evacuations.active().length, 0)
  })

  it('killed between the start of a move and the note of it, it knows the move again and does not repeat it', () => {
    const id = begin()
    evacuations.advance()
    const lost = store.evacuations.get(id)?.moves.find(move => move.state === 'running')
    assert.ok(lost)
    store.operations.update(lost.operation, { plan: lost.plan })
    store.evacuations.updateMove(id, lost.seq, { state: 'planned', operation: '' })
    finish(lost.vm, 'undone')
    boot()
    evacuations.advance()
    assert.equal(started.filter(move => move.vm.id === lost.vmId).length, 1)
    assert.equal(store.evacuations.get(id)?.moves.find(move => move.seq === lost.seq)?.state, 'failed')
  })

  it('killed half way through an abort, it aborts what still works', () => {
    const id = begin()
    evacuations.advance()
    store.evacuations.setState(id, 'aborting', 0)
    boot()
    evacuations.advance()
    assert.ok(store.operations.active().every(operation => operation.kind === 'evacuate'))
    evacuations.advance()
    assert.equal(store.operations.get(id)?.state, 'undone')
    assert.equal(started.length, 2)
  })

  it('goes on past a move that cannot even begin', () => {
    const id = begin()
    poisoned = store.evacuations.get(id)?.moves[0]?.vmId ?? ''
    evacuations.advance()
    assert.equal(started.length, 2)
    assert.deepEqual(
      store.evacuations.get(id)?.moves.map(move => move.state),
      ['failed', 'running', 'running', 'planned'],
    )
  })

  it('does not begin twice on one blade', () => {
    const id = begin()
    assert.throws(
      () => begin(),
      new RegExp(`blade01 is being emptied already; lifeboat operation watch ${id}`),
    )
  })
})
