import assert from 'node:assert/strict'
import type { Brake } from '../../controller/evacuation/brakes.ts'
import { createEvacuations, type Evacuations } from '../../controller/evacuation/evacuations.ts'
import { createFleetState, type FleetState } from '../../controller/fleet/fleet-state.ts'
import type { NewMove } from '../../controller/operations/new-operations.ts'
import type { Operations } from '../../controller/operations/operations.ts'
import { NO_RULES, type PlacementRules } from '../../controller/placement/rules.ts'
import { EMPTY_OPERATION, type OperationRecord } from '../../controller/store/operations.ts'
import { openStore, type Store } from '../../controller/store/store.ts'
import type { BladeReport, Vm } from '../../shared/domain/fleet.ts'
import { silentLogger } from '../../shared/log.ts'
import { soundCapacity, vm } from './agent-reports.ts'

/** Evacuations over a real store and fleet, with moves that end when the story says. blade01 has a, b, c and d. */
export interface EvacuationStage {
  readonly fleet: FleetState
  readonly evacuations: Evacuations
  /** Moves that were begun, in order. */
  readonly started: NewMove[]
  now: number
  /** May be replaced by one that fails; `boot` takes it up. */
  store: Store
  brake: Brake | undefined
  /** Id of the VM whose operation cannot be started. */
  poisoned: string
  /** The controller starts anew over the same store. */
  boot(): void
  /** A blade joins, unless it has. */
  add(blade: string): void
  report(blade: string, vms: readonly Vm[], capacity?: BladeReport['capacity']): void
  /** Begins to empty blade01; returns the id. With a case it is automatic. */
  begin(caseId?: string): string
  /** `web01 planned`, in the order of the moves. */
  states(id: string): string[]
  /** The operation ends; no blade has reported it. */
  finish(vmName: string, state: 'done' | 'undone'): void
  /** The move is done and both blades have reported it. */
  arrive(vmName: string, from: string, to: string): void
  close(): void
}

export function evacuationStage(rules: Partial<PlacementRules> = {}): EvacuationStage {
  const store = openStore(':memory:')
  const limits = {
    maxVmsPerBlade: 4,
    rules: { ...NO_RULES, ...rules },
    liveness: { suspectAfterMs: 1e9, silentAfterMs: 1e10 },
  }
  const fleet = createFleetState({ store, log: silentLogger, limits })
  let sequence = 0
  const boot = () => {
    const services = {
      store: stage.store,
      fleet,
      clock: { now: () => stage.now, sleep: async () => {} },
      log: silentLogger,
    }
    const slots = { concurrentPerSource: 2, concurrentPerTarget: 1, moveDeadlineMs: 1000 }
    evacuations = createEvacuations(services, playedOperations(stage), slots, () => stage.brake)
  }
  const known = (blade: string): BladeReport => {
    const report = stage.store.blades.get(blade)?.report
    assert.ok(report, `${blade} has not reported`)
    return report
  }
  const activeMove = (vmName: string) => {
    const operation = stage.store.operations.active().find(each => each.vm === vmName)
    assert.ok(operation, `nothing moves ${vmName}`)
    return operation
  }
  let evacuations: Evacuations
  const stage: EvacuationStage = {
    fleet,
    get evacuations() {
      return evacuations
    },
    started: [],
    now: 1_000_000,
    store,
    brake: undefined,
    poisoned: '',
    boot,
    add: name => {
      if (store.blades.get(name) !== undefined) return
      store.blades.add({ name, chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
      store.blades.update(name, { joinedAt: 1 })
    },
    report: (blade, vms, capacity = soundCapacity()) => {
      sequence += 1
      const report = { sequence, observedAt: 1, facts: [], vms, capacity, complete: true }
      fleet.accept(blade, report, stage.now)
    },
    begin: (caseId = '') =>
      evacuations.begin({ blade: 'blade01', cause: 'test', caseKey: caseId, caseId, requestedBy: 'anna' })
        .operation.id,
    states: id => (stage.store.evacuations.get(id)?.moves ?? []).map(move => `${move.vm} ${move.state}`),
    finish: (vmName, state) => {
      const { id, from, to } = activeMove(vmName)
      stage.store.operations.update(id, { state, endedAt: stage.now, outcome: `${vmName} ${state}` })
      const moved = known(from).vms.find(each => each.name === vmName)
      if (state === 'done' && moved !== undefined) stage.store.vms.place(moved.id, to, stage.now + 1, moved)
    },
    arrive: (vmName, from, to) => {
      const moved = known(from).vms.find(each => each.name === vmName)
      assert.ok(moved, `${vmName} is not on ${from}`)
      stage.store.operations.update(activeMove(vmName).id, {
        state: 'done',
        endedAt: stage.now,
        outcome: `${vmName} done`,
      })
      stage.store.vms.place(moved.id, to, stage.now, moved)
      const [left, right] = [known(from), known(to)]
      const rest = left.vms.filter(each => each.name !== vmName)
      stage.report(from, rest, left.capacity)
      stage.report(to, [...right.vms, moved], right.capacity)
    },
    close: () => store.close(),
  }
  boot()
  const crew = ['a', 'b', 'c', 'd'].map((name, index) => vm(name, index + 1))
  for (const name of ['blade01', 'blade02', 'blade03']) {
    stage.add(name)
    stage.report(name, name === 'blade01' ? crew : [])
  }
  return stage
}

/** Operations without sagas: the row is all that the evacuation looks at. */
function playedOperations(stage: EvacuationStage): Operations {
  const add = (fields: Partial<OperationRecord>) => {
    const id = `o${stage.store.settings.nextNumber('operation')}`
    const operation: OperationRecord = { ...EMPTY_OPERATION, id, startedAt: 1, deadlineAt: 9e12, ...fields }
    stage.store.operations.add(operation)
    return operation
  }
  return {
    startMove: move => {
      if (move.vm.id === stage.poisoned) throw new Error('the journal does not take it')
      stage.started.push(move)
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
      stage.store.operations.update(id, { state, ...words, ...(state === 'aborting' ? {} : { endedAt: 3 }) }),
    abort: id => stage.store.operations.update(id, { state: 'undone', endedAt: 3 }),
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
