import { formatDuration } from '../../shared/domain/units.ts'
import type { SagaView } from '../../shared/saga/definition.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { OrderOutcome } from './order-step.ts'

export interface OperationEnd {
  /** One sentence. */
  readonly outcome: string
  /** What to type; empty unless somebody must. */
  readonly nextCommand: string
  readonly downtimeMs: number
  readonly handoverMs: number
  readonly transferredBytes: number
  /** Of a backup; empty when it made none. */
  readonly point: string
  readonly pauseMs: number
  /** Of a boot test. */
  readonly recoveryMs: number
}

/** What an ended operation says of itself (rule 11). Pure. */
export function describeEnd(operation: OperationRecord, view: SagaView): OperationEnd {
  const sent = view.results.send as OrderOutcome | undefined
  const confirmed = view.results['confirm-target'] as OrderOutcome | undefined
  const figures = {
    downtimeMs: sent?.downtimeMs ?? 0,
    // The source's agent hands over when it can; the target's own figure is the one of the slow way round.
    handoverMs: sent?.handoverMs || confirmed?.handoverMs || 0,
    transferredBytes: sent?.transferredBytes ?? 0,
    point: '',
    pauseMs: 0,
    recoveryMs: 0,
  }
  if (operation.kind === 'move') return { ...figures, ...describeMove(operation, view, sent) }
  if (operation.kind === 'backup') return { ...figures, ...describeBackup(operation, view) }
  if (operation.kind === 'restore') return { ...figures, ...describeRestore(operation, view) }
  if (operation.kind === 'boot-test') return { ...figures, ...describeBootTest(operation, view) }
  return { ...figures, ...describeAction(operation, view) }
}

type Words = Pick<OperationEnd, 'outcome' | 'nextCommand'>

function describeMove(operation: OperationRecord, view: SagaView, sent: OrderOutcome | undefined): Words {
  const { vm, from, to } = operation
  if (view.state === 'done') {
    const downtime = operation.method === 'live' ? `, downtime ${formatDuration(sent?.downtimeMs ?? 0)}` : ''
    return { outcome: `${vm} is on ${to}${downtime}`, nextCommand: '' }
  }
  if (view.state === 'undone') {
    return { outcome: `${vm} stays on ${from}: ${view.error}`, nextCommand: '' }
  }
  const unfinished = view.steps.find(step => step.state !== 'done' && step.state !== 'undone')
  const failed = unfinished?.name ?? 'the move'
  if (view.results['confirm-target'] !== undefined) {
    return {
      outcome: `${vm} runs on ${to}; ${from} still has its old definition and volumes: ${view.error}`,
      nextCommand: `lifeboat blade show ${from}`,
    }
  }
  if (sent !== undefined) {
    return {
      outcome: `${vm} left ${from}, and ${to} does not confirm it: ${view.error}. It is not started elsewhere by itself; if it runs nowhere, ${startAnyway(vm)}`,
      nextCommand: `lifeboat vm show ${vm}`,
    }
  }
  if (failed === 'send') {
    return {
      outcome: `${vm} may be on ${from} or on ${to}: ${view.error}. Nothing was undone, so that no copy is lost; if it runs nowhere, ${startAnyway(vm)}`,
      nextCommand: `lifeboat vm show ${vm}`,
    }
  }
  return {
    outcome: `${vm} did not move, and ${failed} could not be undone: ${view.error}`,
    nextCommand: `lifeboat blade show ${to}`,
  }
}

/** The way out of a move that ended half way, once a person has looked. */
function startAnyway(vm: string): string {
  return `\`lifeboat vm start ${vm} --force\` starts it where \`vm show\` says it is`
}

const PAST: Readonly<Record<string, string>> = {
  start: 'runs',
  stop: 'is stopped',
  pause: 'is paused',
  resume: 'runs',
}

function describeAction(operation: OperationRecord, view: SagaView): Words {
  if (view.state === 'done') {
    return { outcome: `${operation.vm} ${PAST[operation.kind]} on ${operation.from}`, nextCommand: '' }
  }
  const nextCommand = view.state === 'needs-admin' ? `lifeboat vm show ${operation.vm}` : ''
  return { outcome: `${operation.kind} of ${operation.vm} did not work: ${view.error}`, nextCommand }
}

function describeBackup(
  { vm }: OperationRecord,
  view: SagaView,
): Words & Pick<OperationEnd, 'point' | 'pauseMs' | 'transferredBytes'> {
  const made = view.results.backup as OrderOutcome | undefined
  const figures = {
    point: made?.point ?? '',
    pauseMs: made?.pauseMs ?? 0,
    transferredBytes: made?.transferredBytes ?? 0,
  }
  if (view.state === 'done' && made !== undefined) {
    const stood = made.pauseMs > 0 ? `, stood still for ${formatDuration(made.pauseMs)}` : ''
    const how = made.consistency === '' ? '' : ` (${made.consistency}${stood})`
    return { ...figures, outcome: `${vm} is backed up as ${made.point}${how}`, nextCommand: '' }
  }
  const nextCommand = view.state === 'needs-admin' ? `lifeboat vm show ${vm}` : ''
  return { ...figures, outcome: `${vm} was not backed up: ${view.error}`, nextCommand }
}

function describeRestore({ vm, to, point }: OperationRecord, view: SagaView): Words {
  if (view.state === 'done') {
    return { outcome: `${vm} is restored on ${to} from restore point ${point}`, nextCommand: '' }
  }
  if (view.state === 'needs-admin') {
    return {
      outcome: `${vm} may be restored on ${to}, or half of it: ${view.error}. Look there before it is restored again`,
      nextCommand: `lifeboat blade show ${to}`,
    }
  }
  return { outcome: `${vm} was not restored, nothing of it is left on ${to}: ${view.error}`, nextCommand: '' }
}

function describeBootTest(
  { vm, to, point }: OperationRecord,
  view: SagaView,
): Words & Pick<OperationEnd, 'recoveryMs'> {
  const tested = view.results['boot-test'] as OrderOutcome | undefined
  if (view.state === 'done' && tested !== undefined) {
    const took = formatDuration(tested.recoveryMs)
    const outcome = `restore point ${point} of ${vm} boots: it lived ${took} after its restore began, on ${to}`
    return { outcome, recoveryMs: tested.recoveryMs, nextCommand: '' }
  }
  const nextCommand = view.state === 'needs-admin' ? `lifeboat blade show ${to}` : ''
  return {
    outcome: `restore point ${point} of ${vm} was not seen to boot: ${view.error}`,
    recoveryMs: 0,
    nextCommand,
  }
}
