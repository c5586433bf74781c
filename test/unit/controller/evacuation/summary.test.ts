import assert from 'node:assert/strict'
import { test } from 'node:test'
import { summary } from '../../../../controller/evacuation/evacuation-words.ts'
import { describeEnd } from '../../../../controller/operations/outcome.ts'
import type { Plan, UnplacedVm } from '../../../../controller/placement/plan.ts'
import type { EvacuationMove, EvacuationRecord } from '../../../../controller/store/evacuations.ts'
import type { OperationRecord } from '../../../../controller/store/operations.ts'
import type { ReasonCode } from '../../../../shared/domain/reason.ts'
import type { SagaView } from '../../../../shared/saga/definition.ts'
import { fleet, NIGHT } from '../../../fakes/fleet-builder.ts'

function move(vm: string, state: EvacuationMove['state'], error = ''): EvacuationMove {
  const rest = {
    seq: 0,
    plan: 'p1',
    from: 'blade01',
    to: 'blade02',
    memoryBytes: 0,
    volumeBytes: 0,
    operation: '',
  }
  return { ...rest, vmId: `id-${vm}`, vm, method: 'live', role: 'leaves', needs: [], state, error }
}

function told(
  moves: EvacuationMove[],
  left: string[],
  state: EvacuationRecord['state'] = 'running',
  isOverdue = false,
  unplaced: UnplacedVm[] = [],
) {
  const evacuation: EvacuationRecord = {
    operation: 'o1',
    plan: 'p1',
    blade: 'blade01',
    cause: '',
    caseKey: '',
    caseId: '',
    state,
    startedAt: NIGHT,
    endedAt: 0,
    moves,
  }
  const vms = left.map(name => ({ name, blade: 'blade01' }))
  const snapshot = fleet({ blades: [{ name: 'blade01' }, { name: 'blade02' }], vms })
  return summary(evacuation, { unplaced } as unknown as Plan, snapshot, NIGHT + 32_000, isOverdue)
}

test('an evacuation that left nothing behind is done', () => {
  assert.deepEqual(told([move('db01', 'done'), move('web01', 'done')], []), {
    state: 'done',
    outcome: '2 of 2 VMs moved in 32 s',
    nextCommand: '',
  })
})

test('one that left a VM needs an admin, names it, why, and what to type', () => {
  const end = told([move('db01', 'done'), move('web01', 'failed', 'virsh exited with 1')], ['web01'])
  assert.equal(end.state, 'needs-admin')
  assert.equal(end.outcome, '1 of 2 VMs moved in 32 s; left on blade01: web01 (virsh exited with 1)')
  assert.equal(end.nextCommand, 'lifeboat evacuate blade01 --plan')
})

test('a VM that stays because it is wanted so is no failure, one for which there is no place is', () => {
  const unplaced = (code: ReasonCode) => [
    { vmId: 'id-db01', vm: 'db01', reasons: [{ code, text: `db01: ${code}` }] },
  ]
  const kept = told([move('web01', 'done')], ['db01'], 'running', false, unplaced('policy-stay'))
  assert.deepEqual([kept.state, kept.outcome], ['done', '1 of 1 VMs moved in 32 s; db01: policy-stay'])
  const lost = told([move('web01', 'done')], ['db01'], 'running', false, unplaced('no-blade-left'))
  assert.deepEqual(
    [lost.state, lost.outcome],
    ['needs-admin', '1 of 2 VMs moved in 32 s; left on blade01: db01 (db01: no-blade-left)'],
  )
})

test('a VM that was re-planned and then moved is not left, nor is one somebody moved by hand', () => {
  assert.equal(told([move('db01', 'skipped', 'full'), { ...move('db01', 'done'), seq: 1 }], []).state, 'done')
  assert.equal(told([move('db01', 'skipped', 'it is on blade03 already')], []).state, 'done')
})

test('an aborted one is undone when nothing moved, and says what did otherwise', () => {
  assert.equal(told([move('db01', 'skipped', 'aborted')], ['db01'], 'aborting').state, 'undone')
  const half = told([move('db01', 'done'), move('web01', 'skipped', 'aborted')], ['web01'], 'aborting')
  assert.deepEqual(
    [half.state, half.outcome],
    ['done', 'aborted: 1 of 2 VMs moved in 32 s; on blade01 stay web01 (aborted)'],
  )
})

test('a move that stops half way says where the VM may be and what to look at', () => {
  const operation = {
    kind: 'move',
    vm: 'web01',
    from: 'blade01',
    to: 'blade02',
    method: 'live',
  } as OperationRecord
  const at = (failed: string, results: SagaView['results']) => {
    const steps = ['reserve', 'prepare-target', 'send', 'confirm-target', 'release-source'].map(name => ({
      name,
      state: name === failed ? ('failed' as const) : ('done' as const),
      startedAt: 0,
      endedAt: 0,
      error: '',
    }))
    return describeEnd(operation, {
      state: 'needs-admin',
      steps,
      results,
      error: 'why',
    } as unknown as SagaView).outcome
  }
  const sent = { downtimeMs: 1, handoverMs: 0, transferredBytes: 0, durationMs: 0 }
  assert.match(at('send', {}), /may be on blade01 or on blade02/)
  assert.match(at('confirm-target', { send: sent }), /left blade01, and blade02 does not confirm/)
  assert.match(
    at('release-source', { send: sent, 'confirm-target': sent }),
    /runs on blade02; blade01 still has/,
  )
})

test('an evacuation that its deadline ended with VMs left needs an admin; aborted by a person it does not', () => {
  const moves = [move('db01', 'done'), move('web01', 'skipped', 'the evacuation was aborted')]
  assert.equal(told(moves, ['web01'], 'aborting').state, 'done')
  const late = told(moves, ['web01'], 'aborting', true)
  assert.equal(late.state, 'needs-admin')
  assert.match(late.outcome, /^the deadline passed: 1 of 2 VMs moved in 32 s; left on blade01: web01/)
  assert.equal(late.nextCommand, 'lifeboat evacuate blade01 --plan')
})

test('VMs that stay for the same reasons are told together, blade by blade only where they are few', () => {
  const others = ['blade02', 'blade03', 'blade04', 'blade05']
  const stuck = (vm: string): UnplacedVm => ({
    vm,
    vmId: `id-${vm}`,
    reasons: [
      { code: 'no-blade-left', text: `${vm} fits on none of 5 blades` },
      ...others.map(blade => ({ code: 'vm-limit' as const, blade, text: `${blade} has 4 of at most 4 VMs` })),
      { code: 'memory-short', blade: 'blade06', text: `${vm} needs 9 GiB` },
    ],
  })
  const gpu = { code: 'passed-through-device' as const, text: 'a GPU of the blade is passed through' }
  const left = [stuck('db01'), stuck('web01'), { vm: 'odd01', vmId: 'id-odd01', reasons: [gpu] }]
  const end = told([move('app01', 'done')], ['db01', 'web01', 'odd01'], 'running', false, left)
  assert.equal(
    end.outcome,
    '1 of 4 VMs moved in 32 s; left on blade01: db01, web01 (vm-limit on 4 blades, memory-short on blade06), odd01 (a GPU of the blade is passed through)',
  )
})
