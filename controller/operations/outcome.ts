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
  }
  if (operation.kind === 'move') return { ...figures, ...describeMove(operation, view, sent) }
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
