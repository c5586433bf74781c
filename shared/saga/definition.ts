/**
 * A saga is a fixed sequence of steps with a journal: the intent is written (fsync) before the act, the outcome after.
 * A step that started and never finished is *unknown*: it is probed before anything else happens.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface StepContext<Params, Services> {
  readonly sagaId: string
  readonly params: Params
  readonly services: Services
  /** What earlier steps returned, by step name; undo sees its own step's result too (undefined when unknown). */
  readonly results: Readonly<Record<string, Json | undefined>>
  /**
   * Aborted when the saga is to stop: by a person, its deadline, or the process ending. Behind the point of no return
   * only by a late deadline or the process ending. Probes and undos see the process ending only, so they bring their
   * own time limits.
   */
  readonly signal: AbortSignal
  /** Progress for people; not journaled, the newest wins. */
  progress(doneBytes: number, totalBytes: number): void
}

/** What a probe found of a step that started and never finished. */
export type ProbeAnswer = { readonly state: 'done'; readonly result?: Json } | { readonly state: 'not-done' }

export interface SagaStep<Params, Services> {
  readonly name: string
  /** Must be safe to repeat after `probe` said not-done. Returns what later steps and the undo need. */
  do(context: StepContext<Params, Services>): Promise<Json | undefined>
  /**
   * How to learn what became of an interrupted `do`. 'repeat' = `do` is idempotent, doing it again is the probe: a
   * step with `cannotUndoBecause` is then called with an aborted signal when the saga wants to turn back, and must
   * still find out whether it happened. A function is also asked when such a step failed, before going back.
   */
  readonly probe: 'repeat' | ((context: StepContext<Params, Services>) => Promise<ProbeAnswer>)
  /** Puts the world back; must be idempotent and must work when `do` stopped half way. */
  undo?(context: StepContext<Params, Services>): Promise<void>
  /**
   * Instead of undo: why there is no way back once this is done. Later failures are retried, then need an admin.
   * Such a step throws `needs-admin` when it cannot tell whether it happened: then nothing is undone either.
   */
  readonly cannotUndoBecause?: string
}

export interface SagaDefinition<Params, Services> {
  readonly kind: string
  /** Reads the journal's plain JSON back; throws `bad-input` on what it does not know. */
  parseParams(json: Json): Params
  readonly steps: readonly SagaStep<Params, Services>[]
}

export type SagaState = 'running' | 'aborting' | 'done' | 'undone' | 'needs-admin'

export interface SagaStepView {
  readonly name: string
  readonly state: 'planned' | 'running' | 'done' | 'failed' | 'undoing' | 'undone' | 'undo-failed'
  readonly startedAt: number
  readonly endedAt: number
  readonly error: string
}

/** The journal folded into what a person sees. Times are epoch ms, 0 = not yet. */
export interface SagaView {
  readonly id: string
  readonly kind: string
  readonly params: Json
  readonly state: SagaState
  readonly steps: readonly SagaStepView[]
  readonly results: Readonly<Record<string, Json | undefined>>
  readonly startedAt: number
  readonly endedAt: number
  readonly deadlineAt: number
  /** First failure, or why an admin is needed, in one sentence; empty when none. */
  readonly error: string
  readonly errorCode: string
}
