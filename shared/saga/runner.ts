import type { Clock } from '../clock.ts'
import { formatErrorChain, LifeboatError } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Json, SagaDefinition, SagaView } from './definition.ts'
import { type Execution, executeSaga } from './execution.ts'
import type { SagaHeader, SagaJournal, SagaRecord } from './journal.ts'
import { replay, type SagaEvent, type StepShape, viewOf } from './replay.ts'

export interface SagaRunner<Services = unknown> {
  /** All kinds are registered before `resume`. */
  register<Params>(definition: SagaDefinition<Params, Services>): void
  /**
   * Journals, then runs in the background. Same id again: returns what is there, starts nothing.
   * Throws `bad-input` for parameters the definition does not accept; nothing is journaled then.
   */
  start(kind: string, id: string, params: Json, deadlineAt: number): SagaView
  /** Takes up every unfinished saga of the journal: unknown steps are probed first. Call once at start-up. */
  resume(): void
  /** Journaled, so it survives a restart. Behind the point of no return it is recorded and changes nothing. */
  abort(id: string): SagaView
  view(id: string): SagaView | undefined
  /** Rejects `not-found` for an unknown id, `aborted` when the process ends first. */
  whenEnded(id: string): Promise<SagaView>
  /** Newest progress of the step that runs; zeros when none does. */
  progress(id: string): { doneBytes: number; totalBytes: number }
  /** Stops running steps by their signal WITHOUT undoing: they are resumed at the next start. */
  close(): Promise<void>
}

export interface SagaRunnerOptions<Services> {
  readonly journal: SagaJournal
  readonly clock: Clock
  readonly log: Logger
  readonly servicesFor: (sagaId: string) => Services
  /** After each journaled event, with the newest view. */
  readonly onChange: (view: SagaView) => void
}

// A journal that cannot be written (disk full) stops its sagas; they are read again and go on from what is on disk.
const JOURNAL_RETRY_MS = 30_000

type AnyDefinition<Services> = SagaDefinition<unknown, Services>

interface Live {
  readonly header: SagaHeader
  execution: Execution
  readonly loop: Promise<void>
  readonly end: PromiseWithResolvers<SagaView>
}

/** One runner per journal and process. */
export function createSagaRunner<Services>(options: SagaRunnerOptions<Services>): SagaRunner<Services> {
  return new JournaledRunner(options)
}

class JournaledRunner<Services> implements SagaRunner<Services> {
  readonly #options: SagaRunnerOptions<Services>
  readonly #definitions = new Map<string, AnyDefinition<Services>>()
  readonly #live = new Map<string, Live>()
  readonly #stop = new AbortController()

  constructor(options: SagaRunnerOptions<Services>) {
    this.#options = options
  }

  register<Params>(definition: SagaDefinition<Params, Services>): void {
    if (this.#definitions.has(definition.kind)) {
      throw new LifeboatError('internal', `saga kind '${definition.kind}' is registered twice`)
    }
    // The parameters come from parseParams of the same definition, so the runner need not know their type.
    this.#definitions.set(definition.kind, definition as unknown as AnyDefinition<Services>)
  }

  start(kind: string, id: string, params: Json, deadlineAt: number): SagaView {
    const known = this.view(id)
    if (known !== undefined) return known
    if (this.#stop.signal.aborted) throw new LifeboatError('unavailable', `cannot start ${id}: shutting down`)
    const definition = this.#definitions.get(kind)
    if (definition === undefined) throw new LifeboatError('bad-input', `unknown saga kind '${kind}'`)
    definition.parseParams(params)
    const { journal, clock, log } = this.#options
    const header = { id, kind, params, steps: shapesOf(definition), startedAt: clock.now(), deadlineAt }
    journal.create(header)
    log.info(`${kind} ${id}: started`)
    this.#takeUp({ ...header, endedAt: 0, events: [] }, definition)
    return this.#require(id)
  }

  resume(): void {
    for (const record of this.#options.journal.unfinished()) {
      if (this.#live.has(record.id)) continue
      const obstacle = this.#obstacleTo(record)
      if (obstacle !== '') this.#endUnreadable(record, obstacle)
      else this.#takeUp(record, this.#definitionOf(record))
    }
  }

  abort(id: string): SagaView {
    const live = this.#live.get(id)
    if (live === undefined) {
      this.#require(id)
      this.#options.journal.requestAbort(id, this.#options.clock.now())
    } else {
      live.execution.abort('person')
    }
    return this.#require(id)
  }

  view(id: string): SagaView | undefined {
    const live = this.#live.get(id)
    if (live !== undefined) return viewOf(live.header, live.execution.progress)
    const record = this.#options.journal.load(id)
    return record === undefined ? undefined : viewOfRecord(record)
  }

  async whenEnded(id: string): Promise<SagaView> {
    const live = this.#live.get(id)
    if (live !== undefined) return await live.end.promise
    const view = this.#require(id)
    if (view.endedAt === 0) throw new LifeboatError('aborted', `${id} is taken up at the next start`)
    return view
  }

  progress(id: string): { doneBytes: number; totalBytes: number } {
    return this.#live.get(id)?.execution.bytes ?? { doneBytes: 0, totalBytes: 0 }
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#live.values()].map(({ loop }) => loop))
  }

  #require(id: string): SagaView {
    const view = this.view(id)
    if (view === undefined) throw new LifeboatError('not-found', `no saga '${id}' in the journal`)
    return view
  }

  #definitionOf(record: SagaHeader): AnyDefinition<Services> {
    const definition = this.#definitions.get(record.kind)
    if (definition === undefined) throw new LifeboatError('internal', `unknown saga kind '${record.kind}'`)
    return definition
  }

  /** Why this version cannot go on with what an older or newer one began; empty when it can. */
  #obstacleTo(record: SagaRecord): string {
    const definition = this.#definitions.get(record.kind)
    if (definition === undefined) return `this version does not know the kind '${record.kind}'`
    if (!haveSameNames(record.steps, definition.steps)) return 'this version knows other steps of it'
    try {
      definition.parseParams(record.params)
      replay(record.steps, record.events)
    } catch (error) {
      return formatErrorChain(error)
    }
    return ''
  }

  /** Never dropped in silence: an unreadable saga ends as needs-admin and stays in the journal as it is. */
  #endUnreadable(record: SagaRecord, obstacle: string): void {
    const { journal, clock, log, onChange } = this.#options
    const error = `cannot be resumed: ${obstacle}`
    log.error(`${record.kind} ${record.id}: needs-admin`, { error })
    const at = clock.now()
    journal.append(record.id, { kind: 'ended', at, state: 'needs-admin', error, errorCode: 'needs-admin' })
    onChange(this.#require(record.id))
  }

  #takeUp(record: SagaRecord, definition: AnyDefinition<Services>): void {
    const end = Promise.withResolvers<SagaView>()
    // Nobody has to wait for the end; an unobserved rejection at shutdown is no defect.
    end.promise.catch(() => {})
    const execution = this.#createExecution(record, definition)
    // The loop begins in a later turn, so that the caller sees a saga that is registered before anything happens.
    const loop = Promise.resolve().then(() => this.#runToEnd(record.id))
    this.#live.set(record.id, { header: record, execution, loop, end })
  }

  #createExecution(record: SagaRecord, definition: AnyDefinition<Services>): Execution {
    const { clock, log } = this.#options
    const journalEvent = (event: SagaEvent) => this.#options.journal.append(record.id, event)
    return executeSaga({
      record,
      definition,
      params: definition.parseParams(record.params),
      services: this.#options.servicesFor(record.id),
      clock,
      log,
      stop: this.#stop.signal,
      journalEvent,
      onChange: () => this.#tell(record.id),
    })
  }

  async #runToEnd(id: string): Promise<void> {
    const live = this.#live.get(id)
    if (live === undefined) return
    const { clock, log, journal } = this.#options
    while (!this.#stop.signal.aborted) {
      try {
        await live.execution.run()
        break
      } catch (error) {
        log.error('a saga cannot go on, trying again', { saga: id, error })
        await clock.sleep(JOURNAL_RETRY_MS, this.#stop.signal)
      }
      try {
        // What is on disk is the truth; an event that could not be written did not happen, its step is unknown.
        const record = journal.load(id)
        if (record !== undefined) live.execution = this.#createExecution(record, this.#definitionOf(record))
      } catch (error) {
        log.error('the journal cannot be read', { saga: id, error })
      }
    }
    this.#finish(id, live)
  }

  #finish(id: string, live: Live): void {
    const view = viewOf(live.header, live.execution.progress)
    this.#live.delete(id)
    if (view.endedAt === 0) {
      live.end.reject(new LifeboatError('aborted', `${id} is taken up at the next start`))
      return
    }
    this.#options.log.info(
      `${view.kind} ${id}: ${view.state}`,
      view.error === '' ? {} : { error: view.error },
    )
    live.end.resolve(view)
  }

  #tell(id: string): void {
    const view = this.view(id)
    if (view === undefined) return
    try {
      this.#options.onChange(view)
    } catch (error) {
      // Who listens must not stop the work that is journaled.
      this.#options.log.error('a listener of saga changes failed', { saga: id, error })
    }
  }
}

function shapesOf<Services>(definition: AnyDefinition<Services>): readonly StepShape[] {
  return definition.steps.map(step => ({
    name: step.name,
    cannotUndoBecause: step.cannotUndoBecause ?? '',
  }))
}

function haveSameNames(left: readonly { name: string }[], right: readonly { name: string }[]): boolean {
  return left.length === right.length && left.every((step, index) => step.name === right[index]?.name)
}

/** The view of any record, also of one whose events make no sense: that one needs an admin. */
function viewOfRecord(record: SagaRecord): SagaView {
  try {
    return viewOf(record, replay(record.steps, record.events))
  } catch (error) {
    const empty = viewOf(record, replay(record.steps, []))
    return {
      ...empty,
      state: 'needs-admin',
      endedAt: record.endedAt,
      error: formatErrorChain(error),
      errorCode: 'internal',
    }
  }
}
