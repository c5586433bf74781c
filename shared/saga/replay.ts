import { LifeboatError } from '../errors.ts'
import type { Json, SagaState, SagaStepView, SagaView } from './definition.ts'

/**
 * The journal's arithmetic, pure: events in, progress and view out. next-action.ts says what follows from it; after a
 * crash the same fold over the same events gives the same next action.
 */
export interface StepShape {
  readonly name: string
  /** Why there is no way back once this step is done; empty when it can be undone. */
  readonly cannotUndoBecause: string
}

export type SagaEvent =
  | { readonly kind: 'step-started'; readonly at: number; readonly step: string }
  | { readonly kind: 'step-done'; readonly at: number; readonly step: string; readonly result?: Json }
  | StepFailed
  | { readonly kind: 'undo-started'; readonly at: number; readonly step: string }
  | { readonly kind: 'undo-done'; readonly at: number; readonly step: string }
  | UndoFailed
  | { readonly kind: 'abort-requested'; readonly at: number; readonly because: 'person' | 'deadline' }
  | {
      readonly kind: 'ended'
      readonly at: number
      readonly state: 'done' | 'undone' | 'needs-admin'
      readonly error: string
      readonly errorCode: string
    }

interface StepFailed {
  readonly kind: 'step-failed'
  readonly at: number
  readonly step: string
  readonly error: string
  readonly errorCode: string
  /** The same step may succeed later without a change; counts only behind the point of no return. */
  readonly retryable: boolean
}
interface UndoFailed {
  readonly kind: 'undo-failed'
  readonly at: number
  readonly step: string
  readonly error: string
  readonly errorCode: string
}

type StepState = SagaStepView['state']
interface StepRecord {
  readonly shape: StepShape
  state: StepState
  startedAt: number
  endedAt: number
  error: string
  errorCode: string
  isRetryable: boolean
  result: Json | undefined
  failures: number
  undoFailures: number
}

export interface SagaProgress {
  readonly steps: readonly Readonly<StepRecord>[]
  /** Once true it stays: there is no way back to running the steps. */
  readonly isUnwinding: boolean
  readonly abortRequested: boolean
  readonly ended: Extract<SagaEvent, { kind: 'ended' }> | undefined
  /** First failure; empty when none. */
  readonly error: string
  readonly errorCode: string
}

class Fold {
  readonly steps: StepRecord[]
  isUnwinding = false
  abortRequested = false
  ended: SagaProgress['ended']
  error = ''
  errorCode = ''

  constructor(shapes: readonly StepShape[]) {
    this.steps = shapes.map(shape => ({
      shape,
      state: 'planned',
      startedAt: 0,
      endedAt: 0,
      error: '',
      errorCode: '',
      isRetryable: false,
      result: undefined,
      failures: 0,
      undoFailures: 0,
    }))
  }

  apply(event: SagaEvent): void {
    if (this.ended !== undefined) throw illegal(event, 'the saga has ended')
    switch (event.kind) {
      case 'step-started':
        this.#stepStarted(event.step, event)
        break
      case 'step-done':
        this.#stepDone(event)
        break
      case 'step-failed':
        this.#stepFailed(event)
        break
      case 'undo-started':
        this.#undoStarted(event)
        break
      case 'undo-done':
        this.#undoDone(event)
        break
      case 'undo-failed':
        this.#undoFailed(event)
        break
      case 'abort-requested':
        this.#abortRequested(event)
        break
      case 'ended':
        this.#ended(event)
        break
      default:
        throw illegal(event, 'no such kind of event')
    }
  }

  #find(name: string, event: SagaEvent): StepRecord {
    const step = this.steps.find(({ shape }) => shape.name === name)
    if (step === undefined) throw illegal(event, 'the saga has no such step')
    return step
  }

  #stepStarted(name: string, event: SagaEvent): void {
    const step = this.#find(name, event)
    const before = this.steps.slice(0, this.steps.indexOf(step))
    // Unwinding starts nothing new; only a step whose outcome is unknown may be repeated, to learn it.
    if (this.isUnwinding && step.state !== 'running') throw illegal(event, 'the saga is unwinding')
    if (!before.every(({ state }) => state === 'done')) throw illegal(event, 'an earlier step is not done')
    if (step.state !== 'planned' && step.state !== 'running' && step.state !== 'failed') {
      throw illegal(event, `the step is ${step.state}`)
    }
    step.state = 'running'
    if (step.startedAt === 0) step.startedAt = event.at
    step.endedAt = 0
  }

  #stepDone(event: Extract<SagaEvent, { kind: 'step-done' }>): void {
    const step = this.#find(event.step, event)
    if (step.state !== 'running') throw illegal(event, `the step is ${step.state}`)
    step.state = 'done'
    step.endedAt = event.at
    step.error = ''
    step.result = event.result
    // An abort that came while the step of no return was under way came too late: forward is the only way.
    if (step.shape.cannotUndoBecause !== '' && this.isUnwinding) {
      this.isUnwinding = false
      this.error = ''
      this.errorCode = ''
    }
  }

  #stepFailed(event: StepFailed): void {
    const step = this.#find(event.step, event)
    if (step.state !== 'running') throw illegal(event, `the step is ${step.state}`)
    step.state = 'failed'
    step.endedAt = event.at
    step.error = event.error
    step.errorCode = event.errorCode
    step.isRetryable = event.retryable
    step.failures += 1
    this.#noteError(event.error, event.errorCode)
    if (!isPastReturn(this)) this.isUnwinding = true
  }

  #undoStarted(event: Extract<SagaEvent, { kind: 'undo-started' }>): void {
    const step = this.#find(event.step, event)
    if (!this.isUnwinding) throw illegal(event, 'the saga is not unwinding')
    if (lastToUndo(this.steps) !== step) throw illegal(event, 'it is not the last step that is left to undo')
    step.state = 'undoing'
    step.endedAt = 0
  }

  #undoDone(event: Extract<SagaEvent, { kind: 'undo-done' }>): void {
    const step = this.#find(event.step, event)
    if (step.state !== 'undoing') throw illegal(event, `the step is ${step.state}`)
    step.state = 'undone'
    step.endedAt = event.at
  }

  #undoFailed(event: UndoFailed): void {
    const step = this.#find(event.step, event)
    if (step.state !== 'undoing') throw illegal(event, `the step is ${step.state}`)
    step.state = 'undo-failed'
    step.endedAt = event.at
    step.error = event.error
    step.undoFailures += 1
    this.#noteError(event.error, event.errorCode)
  }

  #abortRequested(event: Extract<SagaEvent, { kind: 'abort-requested' }>): void {
    this.abortRequested = true
    if (isPastReturn(this)) return
    this.isUnwinding = true
    if (event.because === 'deadline') this.#noteError('the deadline passed', 'timeout')
    else this.#noteError('aborted on request', 'aborted')
  }

  #ended(event: Extract<SagaEvent, { kind: 'ended' }>): void {
    if (event.state === 'done' && !this.steps.every(({ state }) => state === 'done')) {
      throw illegal(event, 'not every step is done')
    }
    if (event.state === 'undone' && (!this.isUnwinding || lastToUndo(this.steps) !== undefined)) {
      throw illegal(event, 'something is left to undo')
    }
    this.ended = event
    // Why a person is needed matters more than what went wrong first.
    if (event.state === 'needs-admin' && event.error !== '') {
      this.error = event.error
      this.errorCode = event.errorCode
    }
  }

  #noteError(error: string, code: string): void {
    if (this.error !== '' || error === '') return
    this.error = error
    this.errorCode = code
  }
}

function illegal(event: SagaEvent, because: string): LifeboatError {
  const step = 'step' in event ? ` of step '${event.step}'` : ''
  return new LifeboatError('internal', `the journal has an illegal event ${event.kind}${step}: ${because}`)
}

/** The undo goes backwards over every step that was begun; undefined when nothing is left to undo. */
export function lastToUndo<Step extends { readonly state: StepState }>(
  steps: readonly Step[],
): Step | undefined {
  return steps.findLast(({ state }) => state !== 'planned' && state !== 'undone')
}

/** Folds the events in their order. Throws `internal` on an event that cannot follow what came before it. */
export function replay(shapes: readonly StepShape[], events: readonly SagaEvent[]): SagaProgress {
  const fold = new Fold(shapes)
  for (const event of events) fold.apply(event)
  return fold
}

/** Is a step done from which there is no way back? Failures then lead forward or to an admin, never back. */
export function isPastReturn(progress: SagaProgress): boolean {
  return progress.steps.some(({ shape, state }) => shape.cannotUndoBecause !== '' && state === 'done')
}

/** What of a saga a view needs besides its progress. */
export interface SagaFacts {
  readonly id: string
  readonly kind: string
  readonly params: Json
  readonly startedAt: number
  readonly deadlineAt: number
}

/** The journal folded into what a person sees. */
export function viewOf(facts: SagaFacts, progress: SagaProgress): SagaView {
  const results: Record<string, Json | undefined> = {}
  for (const { shape, result } of progress.steps) {
    if (result !== undefined) results[shape.name] = result
  }
  return {
    id: facts.id,
    kind: facts.kind,
    params: facts.params,
    state: stateOf(progress),
    steps: progress.steps.map(step => ({
      name: step.shape.name,
      state: step.state,
      startedAt: step.startedAt,
      endedAt: step.endedAt,
      error: step.error,
    })),
    results,
    startedAt: facts.startedAt,
    endedAt: progress.ended?.at ?? 0,
    deadlineAt: facts.deadlineAt,
    error: progress.error,
    errorCode: progress.errorCode,
  }
}

function stateOf(progress: SagaProgress): SagaState {
  if (progress.ended !== undefined) return progress.ended.state
  return progress.isUnwinding ? 'aborting' : 'running'
}
