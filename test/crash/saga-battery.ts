import assert from 'node:assert/strict'
import { LifeboatError } from '../../shared/errors.ts'
import { silentLogger } from '../../shared/log.ts'
import type { Json, SagaDefinition, SagaState, SagaStep, SagaView } from '../../shared/saga/definition.ts'
import { createSagaJournal, SAGA_TABLES_SQL, type SagaJournal } from '../../shared/saga/journal.ts'
import { createSagaRunner, type SagaRunner } from '../../shared/saga/runner.ts'
import { openDatabase } from '../../shared/sqlite.ts'
import { createHastyClock } from '../fakes/manual-clock.ts'

/** A fake of everything the saga touches. It outlives the process that "crashes". */
export interface BatteryWorld<Services> {
  readonly services: Services
  /**
   * Throws when the world is not what the state promises: `done` = as ordered, `undone` = as before.
   * Not called for `needs-admin`, which promises nothing but the invariant.
   */
  check(state: 'done' | 'undone'): void
  /** What must hold even half way, whatever happened (rule 1: at most one copy runs). After every run. */
  checkInvariant?(): void
}

export interface SagaBattery<Params, Services> {
  readonly definition: SagaDefinition<Params, Services>
  readonly params: Json
  readonly createWorld: () => BatteryWorld<Services>
}

export interface BatteryReport {
  /** One line per run: what was done to the saga and how it ended. */
  readonly runs: readonly string[]
}

const ID = 'battery-1'
const STARTED_AT = 1_000_000
const DEADLINE_AT = STARTED_AT + 3_600_000
/** Backoffs are over at once, the deadline never comes. */
const PATIENCE_MS = 60_000

/**
 * Carries the saga out again and again, each time with one thing going wrong:
 * each step fails before and after it acted, is done twice, is undone twice, is aborted, and the process dies before
 * and after each write to the journal. Each run must end, and the world must be what the end state says.
 */
export async function runSagaBattery<Params, Services>(
  battery: SagaBattery<Params, Services>,
): Promise<BatteryReport> {
  const runs: string[] = []
  const note = (story: string, state: SagaState): void => {
    runs.push(`${story}: ${state}`)
  }
  const writes = await runUndisturbed(battery, note)
  for (const step of battery.definition.steps) {
    await runFailing(battery, step.name, note)
    await runRepeated(battery, step.name, note)
    await runAborted(battery, step.name, note)
  }
  await runCrashing(battery, writes, 'forward', battery.definition, note)
  await runCrashingBackwards(battery, note)
  return { runs }
}

type Note = (story: string, state: SagaState) => void

async function runUndisturbed<P, S>(battery: SagaBattery<P, S>, note: Note): Promise<number> {
  const run = createRun(battery, battery.definition)
  const view = await run.toEnd()
  expectEnd(run, view, 'undisturbed', 'done')
  note('undisturbed', view.state)
  return run.writes()
}

/** Fails for good at one step. Before the point of no return the world must be as before, behind it an admin is told. */
async function runFailing<P, S>(battery: SagaBattery<P, S>, name: string, note: Note): Promise<void> {
  const isPastReturn = isBehindReturn(battery.definition, name)
  for (const when of ['before', 'after'] as const) {
    const step = battery.definition.steps.find(candidate => candidate.name === name)
    // Failing after it acted is a lie that only a probe can find out: with 'repeat' the error is the only truth.
    if (when === 'after' && step?.cannotUndoBecause !== undefined && step.probe === 'repeat') continue
    const failing = changeStep(battery.definition, name, original => ({
      ...original,
      do: async context => {
        if (when === 'after') await original.do(context)
        throw new LifeboatError('command-failed', `made to fail ${when} it acted`)
      },
    }))
    const run = createRun(battery, failing)
    const view = await run.toEnd()
    const story = `step '${name}' fails ${when} it acted`
    const mayFinish = when === 'after' && step?.cannotUndoBecause !== undefined
    expectEnd(run, view, story, mayFinish ? 'done' : isPastReturn ? 'needs-admin' : 'undone')
    note(story, view.state)
  }
  if (isPastReturn) await runPassingTrouble(battery, name, note)
}

/** Behind the point of no return a passing trouble only delays. */
async function runPassingTrouble<P, S>(battery: SagaBattery<P, S>, name: string, note: Note): Promise<void> {
  let failures = 0
  const failing = changeStep(battery.definition, name, original => ({
    ...original,
    do: async context => {
      failures += 1
      if (failures <= 2) throw new LifeboatError('unavailable', 'made to be unreachable for a while')
      return await original.do(context)
    },
  }))
  const run = createRun(battery, failing)
  const view = await run.toEnd()
  const story = `step '${name}' is unavailable twice`
  expectEnd(run, view, story, 'done')
  note(story, view.state)
}

/** Done twice and undone twice is the same as once. */
async function runRepeated<P, S>(battery: SagaBattery<P, S>, name: string, note: Note): Promise<void> {
  const step = battery.definition.steps.find(candidate => candidate.name === name)
  if (step?.probe === 'repeat') {
    const twice = changeStep(battery.definition, name, original => ({
      ...original,
      do: async context => {
        await original.do(context)
        return await original.do(context)
      },
    }))
    const run = createRun(battery, twice)
    const view = await run.toEnd()
    expectEnd(run, view, `step '${name}' is done twice`, 'done')
    note(`step '${name}' is done twice`, view.state)
  }
  if (step?.undo === undefined || isBehindReturn(battery.definition, name)) return
  const undoneTwice = changeStep(battery.definition, name, original => ({
    ...original,
    do: async context => {
      await original.do(context)
      throw new LifeboatError('command-failed', 'made to fail')
    },
    undo: async context => {
      await original.undo?.(context)
      await original.undo?.(context)
    },
  }))
  const run = createRun(battery, undoneTwice)
  const view = await run.toEnd()
  expectEnd(run, view, `step '${name}' is undone twice`, 'undone')
  note(`step '${name}' is undone twice`, view.state)
}

/** A person aborts as the step begins. Before the point of no return all is undone, behind it all is done. */
async function runAborted<P, S>(battery: SagaBattery<P, S>, name: string, note: Note): Promise<void> {
  let abort = (): void => {}
  const aborting = changeStep(battery.definition, name, original => ({
    ...original,
    do: async context => {
      abort()
      return await original.do(context)
    },
  }))
  const run = createRun(battery, aborting)
  abort = () => run.abort()
  const view = await run.toEnd()
  const step = battery.definition.steps.find(candidate => candidate.name === name)
  const story = `aborted as step '${name}' begins`
  if (isBehindReturn(battery.definition, name)) expectEnd(run, view, story, 'done')
  // The step of no return may heed the signal or have been too quick for it; both are right, but the world must agree.
  else if (step?.cannotUndoBecause !== undefined) expectEnd(run, view, story, 'done', 'undone')
  else expectEnd(run, view, story, 'undone')
  note(story, view.state)
}

/** The process dies around every journal write, also twice in a row; the next one takes the saga up. */
async function runCrashing<P, S>(
  battery: SagaBattery<P, S>,
  writes: number,
  direction: string,
  definition: SagaDefinition<P, S>,
  note: Note,
): Promise<void> {
  for (let write = 1; write <= writes; write++) {
    for (const when of ['before', 'after'] as const) {
      const run = createRun(battery, definition)
      const view = await run.toEnd({ write, when })
      const story = `${direction}, the process dies ${when} journal write ${write}`
      expectEnd(run, view, story, direction === 'forward' ? 'done' : 'undone')
      note(story, view.state)
    }
  }
}

/** The same while undoing: the last step that can be undone fails, so that all of them have to be. */
async function runCrashingBackwards<P, S>(battery: SagaBattery<P, S>, note: Note): Promise<void> {
  const { steps } = battery.definition
  const returnIndex = steps.findIndex(step => step.cannotUndoBecause !== undefined)
  const lastStep = steps[returnIndex === -1 ? steps.length - 1 : returnIndex]
  if (lastStep === undefined) return
  const failing = changeStep(battery.definition, lastStep.name, original => ({
    ...original,
    do: async () => {
      throw new LifeboatError('command-failed', 'made to fail')
    },
  }))
  const undisturbed = createRun(battery, failing)
  await undisturbed.toEnd()
  await runCrashing(battery, undisturbed.writes(), 'backward', failing, note)
}

function isBehindReturn<P, S>(definition: SagaDefinition<P, S>, name: string): boolean {
  const returnIndex = definition.steps.findIndex(step => step.cannotUndoBecause !== undefined)
  return returnIndex !== -1 && definition.steps.findIndex(step => step.name === name) > returnIndex
}

function changeStep<P, S>(
  definition: SagaDefinition<P, S>,
  name: string,
  change: (step: SagaStep<P, S>) => SagaStep<P, S>,
): SagaDefinition<P, S> {
  // parseParams is named, because a definition may be an object with methods.
  return {
    kind: definition.kind,
    parseParams: json => definition.parseParams(json),
    steps: definition.steps.map(step => (step.name === name ? change(bindStep(step)) : step)),
  }
}

function bindStep<P, S>(step: SagaStep<P, S>): SagaStep<P, S> {
  return {
    ...step,
    do: context => step.do(context),
    ...(step.undo === undefined ? {} : { undo: async context => await step.undo?.(context) }),
  }
}

export interface Crash {
  readonly write: number
  readonly when: 'before' | 'after'
}

interface Run {
  toEnd(crash?: Crash): Promise<SagaView>
  abort(): void
  writes(): number
  check(state: 'done' | 'undone'): void
  checkInvariant(): void
}

function createRun<P, S>(battery: SagaBattery<P, S>, definition: SagaDefinition<P, S>): Run {
  const world = battery.createWorld()
  const db = openDatabase(':memory:', [{ version: 1, name: 'sagas', sql: SAGA_TABLES_SQL }])
  const disk = createSagaJournal(db)
  const clock = createHastyClock(STARTED_AT, PATIENCE_MS)
  let writes = 0
  let current: SagaRunner<S> | undefined
  const boot = (journal: SagaJournal): SagaRunner<S> => {
    const servicesFor = () => world.services
    const runner = createSagaRunner({ journal, clock, log: silentLogger, servicesFor, onChange: () => {} })
    runner.register(definition)
    current = runner
    return runner
  }
  const counting: SagaJournal = {
    ...disk,
    append: (id, event) => {
      writes += 1
      disk.append(id, event)
    },
  }

  const crashOnce = async (crash: Crash): Promise<void> => {
    const dying = createDyingJournal(disk, crash)
    const runner = boot(dying.journal)
    runner.start(definition.kind, ID, battery.params, DEADLINE_AT)
    await dying.died
    await runner.close()
  }
  return {
    toEnd: async crash => {
      if (crash !== undefined) await crashOnce(crash)
      const runner = boot(counting)
      if (crash === undefined) runner.start(definition.kind, ID, battery.params, DEADLINE_AT)
      else runner.resume()
      const view = disk.load(ID)?.endedAt === 0 ? await runner.whenEnded(ID) : runner.view(ID)
      assert.ok(view)
      await runner.close()
      return view
    },
    abort: () => void current?.abort(ID),
    writes: () => writes,
    check: state => world.check(state),
    checkInvariant: () => world.checkInvariant?.(),
  }
}

/** Works until the given write and never again: that is what a journal of a dead process looks like from outside. */
export function createDyingJournal(
  disk: SagaJournal,
  crash: Crash,
): { journal: SagaJournal; died: Promise<void> } {
  const death = Promise.withResolvers<void>()
  let writes = 0
  let isDead = false
  const die = (): never => {
    isDead = true
    death.resolve()
    throw new LifeboatError('unavailable', 'the process is dead')
  }
  const journal: SagaJournal = {
    ...disk,
    load: id => (isDead ? die() : disk.load(id)),
    append: (id, event) => {
      if (isDead) die()
      writes += 1
      if (writes === crash.write && crash.when === 'before') die()
      disk.append(id, event)
      if (writes === crash.write) die()
    },
  }
  return { journal, died: death.promise }
}

function expectEnd(run: Run, view: SagaView, story: string, ...expected: readonly SagaState[]): void {
  const error = view.error === '' ? '' : ` (${view.error})`
  assert.ok(
    expected.includes(view.state),
    `${story}: must end ${expected.join(' or ')}, ended ${view.state}${error}`,
  )
  run.checkInvariant()
  if (view.state !== 'done' && view.state !== 'undone') return
  try {
    run.check(view.state)
  } catch (cause) {
    throw new Error(`${story}: ended ${view.state}${error}, but the world is not so`, { cause })
  }
}
