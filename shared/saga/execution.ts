import type { Clock } from '../clock.ts'
import { errorCode, formatErrorChain, isRetryable, LifeboatError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Json, ProbeAnswer, SagaDefinition, SagaStep, StepContext } from './definition.ts'
import type { SagaRecord } from './journal.ts'
import { nextAction, type SagaAction } from './next-action.ts'
import { isPastReturn, replay, type SagaEvent, type SagaProgress } from './replay.ts'

export interface ExecutionOptions<Params, Services> {
  readonly record: SagaRecord
  readonly definition: SagaDefinition<Params, Services>
  readonly params: Params
  readonly services: Services
  readonly clock: Clock
  readonly log: Logger
  /** The process ends: running steps are left unknown. */
  readonly stop: AbortSignal
  /** Durable when it returns; whatever it throws ends `run` with the same error. */
  readonly journalEvent: (event: SagaEvent) => void
  readonly onChange: () => void
}

export interface Execution {
  readonly progress: SagaProgress
  readonly bytes: { readonly doneBytes: number; readonly totalBytes: number }
  abort(because: 'person' | 'deadline'): void
  /** Resolves at the end of the saga, or when `stop` is aborted. Rejects only when the journal fails. */
  run(): Promise<void>
}

const FIRST_BACKOFF_MS = 1000
const LAST_BACKOFF_MS = 30_000
/** A step behind the point of no return gets this much even when the deadline is over: the VM is between two blades. */
const LATE_STEP_MS = 60_000
/** A timer's own limit is 24 days; a longer one would fire at once. */
const LONGEST_TIMER_MS = 24 * 60 * 60_000
/** 1+2+4+8+16 s: long enough for the other blade's agent to restart. */
const PROBE_TRIES = 6

/** Wait before try number `failures + 1`; doubles from 1 s to 30 s. */
function backoffMs(failures: number): number {
  return failures === 0 ? 0 : Math.min(LAST_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** (failures - 1))
}

/** One saga being carried out: does what `nextAction` says and journals what came of it. */
export function executeSaga<Params, Services>(options: ExecutionOptions<Params, Services>): Execution {
  return new JournaledExecution(options)
}

class JournaledExecution<Params, Services> implements Execution {
  readonly #options: ExecutionOptions<Params, Services>
  readonly #events: SagaEvent[]
  /** Aborted by a person or the deadline, as long as there is a way back. */
  readonly #turnBack = new AbortController()
  progress: SagaProgress
  bytes = { doneBytes: 0, totalBytes: 0 }

  constructor(options: ExecutionOptions<Params, Services>) {
    this.#options = options
    this.#events = [...options.record.events]
    this.progress = replay(options.record.steps, this.#events)
    if (this.progress.isUnwinding) this.#turnBack.abort()
  }

  abort(because: 'person' | 'deadline'): void {
    if (this.progress.ended !== undefined || this.progress.abortRequested) return
    this.#record({ kind: 'abort-requested', at: this.#options.clock.now(), because })
    if (this.progress.isUnwinding) {
      this.#turnBack.abort()
      return
    }
    const { log, record } = this.#options
    log.warn('an abort came too late, the saga goes on', { saga: record.id })
  }

  async run(): Promise<void> {
    const over = new AbortController()
    const { clock, record, stop } = this.#options
    // Checked here as well: after a restart the deadline may be long over, and no step may slip in before the timer.
    this.#checkDeadline()
    void this.#watchDeadline(AbortSignal.any([stop, over.signal]))
    try {
      while (!stop.aborted) {
        const action = nextAction(this.progress, clock.now(), record.deadlineAt)
        if (action.kind === 'nothing') return
        await this.#act(action)
      }
    } finally {
      over.abort()
    }
  }

  async #act(action: SagaAction): Promise<void> {
    if (action.kind === 'end') {
      const { state, error, errorCode } = action
      this.#record({ kind: 'ended', at: this.#options.clock.now(), state, error, errorCode })
    }
    if (action.kind === 'do') await this.#do(this.#stepNamed(action.step), action.isUnknown, action.failures)
    if (action.kind === 'undo') await this.#undo(this.#stepNamed(action.step), action.failures)
  }

  async #watchDeadline(over: AbortSignal): Promise<void> {
    const { clock, record } = this.#options
    // Looked at again after each sleep: timers run early by a millisecond, and a clock that was set back makes them
    // hours early. A single look would miss the deadline for ever (rule 11).
    for (let leftMs = record.deadlineAt - clock.now(); leftMs > 0; leftMs = record.deadlineAt - clock.now()) {
      await clock.sleep(Math.min(leftMs, LONGEST_TIMER_MS), over)
      if (over.aborted) return
    }
    try {
      this.#checkDeadline()
    } catch (error) {
      // The loop meets the same broken journal at its next event and reports it.
      this.#options.log.error('the deadline cannot be journaled', { saga: this.#options.record.id, error })
    }
  }

  #checkDeadline(): void {
    const { clock, record } = this.#options
    if (clock.now() >= record.deadlineAt && !isPastReturn(this.progress)) this.abort('deadline')
  }

  async #do(step: SagaStep<Params, Services>, isUnknown: boolean, failures: number): Promise<void> {
    const { clock, stop } = this.#options
    if (failures > 0) await clock.sleep(backoffMs(failures), stop)
    if (stop.aborted) return
    if (isUnknown && step.probe !== 'repeat') {
      const answer = await this.#learn(step, step.probe)
      if (answer === undefined || this.#settle(step, answer)) return
    }
    const over = new AbortController()
    const context = this.#context(step, this.#stepSignal(over.signal))
    this.#record({ kind: 'step-started', at: clock.now(), step: step.name })
    const outcome = await attempt(() => step.do(context))
    over.abort()
    this.bytes = { doneBytes: 0, totalBytes: 0 }
    if ('error' in outcome) await this.#stepFailed(step, outcome.error)
    else this.#recordDone(step, outcome.result)
  }

  /** Journals what a probe found of an interrupted step. True: settled, false: it is to be done now. */
  #settle(step: SagaStep<Params, Services>, answer: ProbeAnswer): boolean {
    if (answer.state === 'done') {
      this.#recordDone(step, answer.result)
      return true
    }
    if (!this.progress.isUnwinding) return false
    this.#recordFailed(step, new LifeboatError('aborted', 'interrupted before it took effect'))
    return true
  }

  async #stepFailed(step: SagaStep<Params, Services>, error: unknown): Promise<void> {
    // The process ends: whether the failure is the step's own or our signal's is not known, so the step is unknown.
    if (this.#options.stop.aborted) return
    const mayHaveHappened = step.cannotUndoBecause !== undefined && errorCode(error) !== 'needs-admin'
    if (mayHaveHappened && step.probe !== 'repeat') {
      // An error says that the step believes it failed; before going back for ever, the world is asked.
      const answer = await this.#learn(step, step.probe)
      if (answer === undefined) return
      if (answer.state === 'done') {
        this.#recordDone(step, answer.result)
        return
      }
    }
    this.#recordFailed(step, error)
  }

  /** Asks until there is an answer. Undefined: the process ends, or no answer could be had and that is journaled. */
  async #learn(
    step: SagaStep<Params, Services>,
    probe: Exclude<SagaStep<Params, Services>['probe'], 'repeat'>,
  ): Promise<ProbeAnswer | undefined> {
    const { clock, log, stop, record } = this.#options
    // Not the saga's own signal: an aborted saga still has to learn what it did.
    const context = this.#context(step, stop)
    for (let tries = 1; ; tries++) {
      try {
        return await probe(context)
      } catch (error) {
        if (stop.aborted) return undefined
        log.warn('cannot learn what became of a step', { saga: record.id, step: step.name, error })
        const hasTime = tries < PROBE_TRIES || clock.now() < record.deadlineAt
        if (!isRetryable(error) || !hasTime) {
          const message = `what became of '${step.name}' cannot be learned`
          this.#recordFailed(step, new LifeboatError('needs-admin', message, { cause: error }))
          return undefined
        }
        await clock.sleep(backoffMs(tries), stop)
        if (stop.aborted) return undefined
      }
    }
  }

  async #undo(step: SagaStep<Params, Services>, failures: number): Promise<void> {
    const { clock, stop } = this.#options
    if (failures > 0) await clock.sleep(backoffMs(failures), stop)
    if (stop.aborted) return
    this.#record({ kind: 'undo-started', at: clock.now(), step: step.name })
    // Only the end of the process stops an undo: an aborted or late saga is exactly what it is for.
    const outcome = await attempt(async () => await step.undo?.(this.#context(step, stop)))
    const base = { at: clock.now(), step: step.name }
    if (!('error' in outcome)) {
      this.#record({ kind: 'undo-done', ...base })
      return
    }
    const { error } = outcome
    if (stop.aborted) return
    this.#options.log.warn('an undo failed', { saga: this.#options.record.id, step: step.name, error })
    this.#record({
      kind: 'undo-failed',
      ...base,
      error: formatErrorChain(error),
      errorCode: errorCode(error),
    })
  }

  /** Before the point of no return: person, deadline or process end. Behind it: a late limit, or process end. */
  #stepSignal(over: AbortSignal): AbortSignal {
    const { clock, record, stop } = this.#options
    if (!isPastReturn(this.progress)) return AbortSignal.any([stop, this.#turnBack.signal])
    const limit = new AbortController()
    const limitMs = Math.max(record.deadlineAt - clock.now(), LATE_STEP_MS)
    void clock.sleep(limitMs, AbortSignal.any([stop, over])).then(() => {
      if (!over.aborted) limit.abort()
    })
    return AbortSignal.any([stop, limit.signal])
  }

  #context(step: SagaStep<Params, Services>, signal: AbortSignal): StepContext<Params, Services> {
    const results: Record<string, Json | undefined> = {}
    for (const { shape, result } of this.progress.steps) results[shape.name] = result
    return {
      sagaId: this.#options.record.id,
      params: this.#options.params,
      services: this.#options.services,
      results,
      signal,
      progress: (doneBytes, totalBytes) => {
        if (this.#isRunning(step.name)) this.bytes = { doneBytes, totalBytes }
      },
    }
  }

  #isRunning(name: string): boolean {
    return this.progress.steps.some(({ shape, state }) => shape.name === name && state === 'running')
  }

  #stepNamed(name: string): SagaStep<Params, Services> {
    const step = this.#options.definition.steps.find(candidate => candidate.name === name)
    if (step === undefined) throw new LifeboatError('internal', `the definition has no step '${name}'`)
    return step
  }

  #recordDone(step: SagaStep<Params, Services>, result: Json | undefined): void {
    const at = this.#options.clock.now()
    const base = { kind: 'step-done', at, step: step.name } as const
    this.#record(result === undefined ? base : { ...base, result })
  }

  #recordFailed(step: SagaStep<Params, Services>, error: unknown): void {
    const { clock, log, record } = this.#options
    log.warn('a step failed', { saga: record.id, step: step.name, error })
    this.#record({
      kind: 'step-failed',
      at: clock.now(),
      step: step.name,
      error: formatErrorChain(error),
      errorCode: errorCode(error),
      retryable: isRetryable(error),
    })
  }

  /** On disk first, in memory after: what is not journaled did not happen. */
  #record(event: SagaEvent): void {
    const progress = replay(this.#options.record.steps, [...this.#events, event])
    this.#options.journalEvent(event)
    this.#events.push(event)
    this.progress = progress
    this.#options.onChange()
  }
}

/** Keeps what the act threw apart from what journaling its outcome throws. */
async function attempt<T>(act: () => Promise<T>): Promise<{ result: T } | { error: unknown }> {
  try {
    return { result: await act() }
  } catch (error) {
    return { error }
  }
}
