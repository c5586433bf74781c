import assert from 'node:assert/strict'
import { test } from 'node:test'
import type Database from 'better-sqlite3'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import type { SagaDefinition, SagaStep, SagaView, StepContext } from '../../../../shared/saga/definition.ts'
import { createSagaJournal, SAGA_TABLES_SQL, type SagaJournal } from '../../../../shared/saga/journal.ts'
import { createSagaRunner } from '../../../../shared/saga/runner.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createManualClock, type ManualClock, settle } from '../../../fakes/manual-clock.ts'

type Services = string[]
type Step = SagaStep<unknown, Services>

const START_AT = 1_000_000
const DEADLINE_AT = START_AT + 600_000

function quickStep(name: string, extra: Partial<Step> = {}): Step {
  return {
    name,
    probe: 'repeat',
    do: async ({ services }) => {
      services.push(`do ${name}`)
      return undefined
    },
    undo: async ({ services }) => {
      services.push(`undo ${name}`)
    },
    ...extra,
  }
}

/** Waits for its signal and for nothing else. */
function waitingStep(name: string, extra: Partial<Step> = {}): Step {
  return quickStep(name, {
    do: async ({ services, signal }) => {
      services.push(`do ${name}`)
      await new Promise<void>(resolve => {
        if (signal.aborted) resolve()
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      throw new LifeboatError('aborted', 'stopped by its signal')
    },
    ...extra,
  })
}

function saga(...steps: Step[]): SagaDefinition<unknown, Services> {
  return {
    kind: 'test',
    parseParams: json => {
      if (json === 'wrong') throw new LifeboatError('bad-input', 'wrong parameters')
      return json
    },
    steps,
  }
}

interface Bench {
  readonly db: Database.Database
  readonly journal: SagaJournal
  readonly clock: ManualClock
  readonly log: string[]
  readonly changes: SagaView[]
  boot(definition?: SagaDefinition<unknown, Services>): ReturnType<typeof createSagaRunner<Services>>
}

function createBench(): Bench {
  const db = openDatabase(':memory:', [{ version: 1, name: 'sagas', sql: SAGA_TABLES_SQL }])
  const journal = createSagaJournal(db)
  const clock = createManualClock(START_AT)
  const log: string[] = []
  const changes: SagaView[] = []
  return {
    db,
    journal,
    clock,
    log,
    changes,
    boot: definition => {
      const runner = createSagaRunner<Services>({
        journal,
        clock,
        log: silentLogger,
        servicesFor: () => log,
        onChange: view => changes.push(view),
      })
      if (definition !== undefined) runner.register(definition)
      return runner
    },
  }
}

const CANNOT = { cannotUndoBecause: 'it is gone' }

test('a saga runs its steps in order and tells every change', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(quickStep('one'), quickStep('two')))
  assert.equal(runner.start('test', 'a', null, DEADLINE_AT).state, 'running')
  const view = await runner.whenEnded('a')
  assert.equal(view.state, 'done')
  assert.deepEqual(bench.log, ['do one', 'do two'])
  assert.deepEqual(
    bench.changes.map(({ steps, state }) => [state, ...steps.map(step => step.state)].join(' ')),
    [
      'running running planned',
      'running done planned',
      'running done running',
      'running done done',
      'done done done',
    ],
  )
})

test('the same id again answers with what is there and starts nothing', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(quickStep('one')))
  runner.start('test', 'a', { vm: 'web01' }, DEADLINE_AT)
  runner.start('test', 'a', { vm: 'other' }, DEADLINE_AT)
  await runner.whenEnded('a')
  const view = runner.start('test', 'a', null, DEADLINE_AT)
  assert.deepEqual([view.state, view.params], ['done', { vm: 'web01' }])
  assert.deepEqual(bench.log, ['do one'])
})

test('wrong parameters and unknown kinds are refused before anything is journaled', () => {
  const bench = createBench()
  const runner = bench.boot(saga(quickStep('one')))
  assert.throws(() => runner.start('test', 'a', 'wrong', DEADLINE_AT), { code: 'bad-input' })
  assert.throws(() => runner.start('paint', 'a', null, DEADLINE_AT), { code: 'bad-input' })
  assert.equal(runner.view('a'), undefined)
  assert.equal(bench.journal.unfinished().length, 0)
})

test('later steps see the results of earlier ones, and progress is there while a step runs', async () => {
  const bench = createBench()
  const release = Promise.withResolvers<void>()
  const seen: unknown[] = []
  const runner = bench.boot(
    saga(
      quickStep('one', { do: async () => ({ path: '/dev/vg0/web01' }) }),
      quickStep('two', {
        do: async ({ results, progress }) => {
          seen.push(results.one)
          progress(5, 10)
          await release.promise
          return undefined
        },
      }),
    ),
  )
  runner.start('test', 'a', null, DEADLINE_AT)
  await settle()
  assert.deepEqual(runner.progress('a'), { doneBytes: 5, totalBytes: 10 })
  release.resolve()
  await runner.whenEnded('a')
  assert.deepEqual(seen, [{ path: '/dev/vg0/web01' }])
  assert.deepEqual(runner.progress('a'), { doneBytes: 0, totalBytes: 0 })
})

test('the deadline passes in a running step: it is stopped, and everything is undone', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(quickStep('one'), waitingStep('two')))
  runner.start('test', 'a', null, DEADLINE_AT)
  await bench.clock.advance(599_999)
  assert.equal(runner.view('a')?.state, 'running')
  await bench.clock.advance(1)
  const view = await runner.whenEnded('a')
  assert.deepEqual([view.state, view.errorCode], ['undone', 'timeout'])
  assert.deepEqual(bench.log, ['do one', 'do two', 'undo two', 'undo one'])
})

test('close leaves the running step unknown and undoes nothing; the next start goes on from there', async () => {
  const bench = createBench()
  const first = bench.boot(saga(quickStep('one'), waitingStep('two')))
  first.start('test', 'a', null, DEADLINE_AT)
  await settle()
  const waiting = assert.rejects(first.whenEnded('a'), { code: 'aborted' })
  await first.close()
  await waiting
  assert.equal(bench.journal.load('a')?.events.at(-1)?.kind, 'step-started')

  const second = bench.boot(saga(quickStep('one'), quickStep('two')))
  second.resume()
  assert.equal((await second.whenEnded('a')).state, 'done')
  assert.deepEqual(bench.log, ['do one', 'do two', 'do two'])
})

test('an interrupted step is probed first: what is done is not done again', async () => {
  const bench = createBench()
  const first = bench.boot(saga(waitingStep('one')))
  first.start('test', 'a', null, DEADLINE_AT)
  await settle()
  await first.close()
  const second = bench.boot(saga(quickStep('one', { probe: async () => ({ state: 'done', result: 7 }) })))
  second.resume()
  const view = await second.whenEnded('a')
  assert.deepEqual([view.state, view.results], ['done', { one: 7 }])
  assert.deepEqual(bench.log, ['do one'])
})

test('an abort survives a restart', async () => {
  const bench = createBench()
  const steps = [quickStep('one'), waitingStep('two')]
  const first = bench.boot(saga(...steps))
  first.start('test', 'a', null, DEADLINE_AT)
  await settle()
  await first.close()
  // Another process of the same journal, before it took its sagas up.
  const second = bench.boot(saga(...steps))
  assert.equal(second.abort('a').state, 'aborting')
  second.resume()
  const view = await second.whenEnded('a')
  assert.deepEqual([view.state, view.errorCode], ['undone', 'aborted'])
  assert.deepEqual(bench.log, ['do one', 'do two', 'undo two', 'undo one'])
})

test('behind the point of no return trouble that passes is retried with growing pauses', async () => {
  const bench = createBench()
  let tries = 0
  const shaky = quickStep('two', {
    do: async () => {
      tries += 1
      if (tries < 4) throw new LifeboatError('unavailable', 'blade07 does not answer')
      return undefined
    },
  })
  const runner = bench.boot(saga(quickStep('one', CANNOT), shaky))
  runner.start('test', 'a', null, DEADLINE_AT)
  await bench.clock.advance(999)
  assert.equal(tries, 1)
  await bench.clock.advance(1)
  assert.equal(tries, 2)
  await bench.clock.advance(2000)
  assert.equal(tries, 3)
  await bench.clock.advance(4000)
  assert.equal((await runner.whenEnded('a')).state, 'done')
})

test('trouble that does not pass until the deadline needs an admin, and nothing is undone', async () => {
  const bench = createBench()
  const dead = quickStep('two', {
    do: async () => {
      throw new LifeboatError('unavailable', 'blade07 does not answer')
    },
  })
  const runner = bench.boot(saga(quickStep('one', CANNOT), dead))
  runner.start('test', 'a', null, DEADLINE_AT)
  await bench.clock.advance(640_000)
  const view = await runner.whenEnded('a')
  assert.equal(view.state, 'needs-admin')
  assert.equal(view.error, "the deadline passed with 'two' not done: blade07 does not answer")
  assert.deepEqual(bench.log, ['do one'])
})

test('a step that hangs behind the point of no return is stopped at the deadline', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(quickStep('one', CANNOT), waitingStep('two')))
  runner.start('test', 'a', null, DEADLINE_AT)
  await bench.clock.advance(600_000)
  assert.equal((await runner.whenEnded('a')).state, 'needs-admin')
})

test('an abort behind the point of no return changes nothing', async () => {
  const bench = createBench()
  const release = Promise.withResolvers<undefined>()
  const signals: AbortSignal[] = []
  const patient = quickStep('two', {
    do: ({ signal }: StepContext<unknown, Services>) => {
      signals.push(signal)
      return release.promise
    },
  })
  const runner = bench.boot(saga(quickStep('one', CANNOT), patient))
  runner.start('test', 'a', null, DEADLINE_AT)
  await settle()
  assert.equal(runner.abort('a').state, 'running')
  assert.equal(signals[0]?.aborted, false)
  release.resolve(undefined)
  assert.equal((await runner.whenEnded('a')).state, 'done')
})

test('the step of no return fails: the world is asked before anything is undone', async () => {
  const bench = createBench()
  const lying = quickStep('two', {
    ...CANNOT,
    do: async () => {
      throw new LifeboatError('timeout', 'no answer, but it happened')
    },
    probe: async () => ({ state: 'done' }),
  })
  const runner = bench.boot(saga(quickStep('one'), lying))
  runner.start('test', 'a', null, DEADLINE_AT)
  assert.equal((await runner.whenEnded('a')).state, 'done')
  assert.deepEqual(bench.log, ['do one'])
})

test('nobody answers what became of the step of no return: an admin decides, nothing is undone', async () => {
  const bench = createBench()
  let questions = 0
  const lost = quickStep('two', {
    ...CANNOT,
    do: async () => {
      throw new LifeboatError('unavailable', 'connection lost')
    },
    probe: async () => {
      questions += 1
      throw new LifeboatError('unavailable', 'blade07 does not answer')
    },
  })
  const runner = bench.boot(saga(quickStep('one'), lost))
  runner.start('test', 'a', null, START_AT + 10_000)
  await bench.clock.advance(60_000)
  const view = await runner.whenEnded('a')
  assert.equal(view.state, 'needs-admin')
  assert.match(view.error, /what became of 'two' cannot be learned: blade07 does not answer/)
  assert.equal(questions, 6)
  assert.deepEqual(bench.log, ['do one'])
})

test('aborted while the step of no return is unknown: it is repeated with an aborted signal, to learn its outcome', async () => {
  const bench = createBench()
  const definition = (happened: boolean) =>
    saga(
      quickStep('one'),
      quickStep('two', {
        ...CANNOT,
        do: async ({ signal, services }) => {
          services.push(`ask, aborted ${signal.aborted}`)
          if (!happened) throw new LifeboatError('aborted', 'it did not happen')
          return undefined
        },
      }),
    )
  for (const { happened, state } of [
    { happened: true, state: 'done' },
    { happened: false, state: 'undone' },
  ]) {
    const id = `happened-${happened}`
    const first = bench.boot(saga(quickStep('one'), waitingStep('two', CANNOT)))
    first.start('test', id, null, DEADLINE_AT)
    await settle()
    await first.close()
    bench.journal.requestAbort(id, START_AT)
    const second = bench.boot(definition(happened))
    second.resume()
    assert.equal((await second.whenEnded(id)).state, state)
  }
  assert.deepEqual(
    bench.log.filter(line => line.startsWith('ask')),
    ['ask, aborted true', 'ask, aborted true'],
  )
})

test('an undo that keeps failing needs an admin after three tries', async () => {
  const bench = createBench()
  let tries = 0
  const sticky = quickStep('one', {
    undo: async () => {
      tries += 1
      throw new LifeboatError('command-failed', 'lvremove exited with 5')
    },
  })
  const runner = bench.boot(saga(sticky, waitingStep('two')))
  runner.start('test', 'a', null, DEADLINE_AT)
  await settle()
  runner.abort('a')
  await bench.clock.advance(10_000)
  const view = await runner.whenEnded('a')
  assert.equal(tries, 3)
  assert.equal(view.state, 'needs-admin')
  assert.equal(view.steps[0]?.state, 'undo-failed')
})

test('what an older version began and this one does not know needs an admin and stays in the journal', async () => {
  const stories = [
    { now: undefined, error: /does not know the kind 'test'/ },
    { now: saga(quickStep('one'), quickStep('new'), quickStep('two')), error: /knows other steps of it/ },
    {
      now: { ...saga(quickStep('one'), quickStep('two')), parseParams: () => assert.fail('old form') },
      error: /old form/,
    },
  ]
  for (const { now, error } of stories) {
    const bench = createBench()
    const first = bench.boot(saga(quickStep('one'), waitingStep('two')))
    first.start('test', 'a', { old: true }, DEADLINE_AT)
    await settle()
    await first.close()
    const second = bench.boot(now)
    second.resume()
    const view = await second.whenEnded('a')
    assert.equal(view.state, 'needs-admin')
    assert.match(view.error, error)
    assert.deepEqual(view.params, { old: true })
    assert.equal(bench.changes.at(-1)?.state, 'needs-admin')
    assert.equal(bench.journal.unfinished().length, 0)
  }
})

test('a journal whose events make no sense is told as such, not dropped', async () => {
  const bench = createBench()
  const header = { id: 'a', kind: 'test', params: null, steps: [{ name: 'one', cannotUndoBecause: '' }] }
  bench.journal.create({ ...header, startedAt: START_AT, deadlineAt: DEADLINE_AT })
  bench.journal.append('a', { kind: 'undo-done', at: START_AT, step: 'one' })
  const runner = bench.boot(saga(quickStep('one')))
  runner.resume()
  const view = await runner.whenEnded('a')
  assert.equal(view.state, 'needs-admin')
  assert.match(view.error, /illegal event undo-done of step 'one'/)
  assert.deepEqual(bench.log, [])
})

test('a journal that cannot be written stops the saga; when it can again, the unknown step is probed', async () => {
  const bench = createBench()
  let isFull = false
  const journal: SagaJournal = {
    ...bench.journal,
    append: (id, event) => {
      if (isFull && event.kind === 'step-done') throw new Error('database or disk is full')
      bench.journal.append(id, event)
    },
  }
  const runner = createSagaRunner<Services>({
    journal,
    clock: bench.clock,
    log: silentLogger,
    servicesFor: () => bench.log,
    onChange: () => {},
  })
  runner.register(saga(quickStep('one', { probe: async () => ({ state: 'done' }) }), quickStep('two')))
  isFull = true
  runner.start('test', 'a', null, DEADLINE_AT)
  await settle()
  assert.equal(runner.view('a')?.steps[0]?.state, 'running')
  isFull = false
  await bench.clock.advance(30_000)
  assert.equal((await runner.whenEnded('a')).state, 'done')
  assert.deepEqual(bench.log, ['do one', 'do two'])
})

test('a listener that throws does not stop a saga', async () => {
  const bench = createBench()
  const runner = createSagaRunner<Services>({
    journal: bench.journal,
    clock: bench.clock,
    log: silentLogger,
    servicesFor: () => bench.log,
    onChange: () => {
      throw new Error('nobody home')
    },
  })
  runner.register(saga(quickStep('one')))
  runner.start('test', 'a', null, DEADLINE_AT)
  assert.equal((await runner.whenEnded('a')).state, 'done')
})

test('an unknown id is not-found, and after close nothing is started', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(quickStep('one')))
  assert.throws(() => runner.abort('x'), { code: 'not-found' })
  await assert.rejects(runner.whenEnded('x'), { code: 'not-found' })
  await runner.close()
  assert.throws(() => runner.start('test', 'a', null, DEADLINE_AT), { code: 'unavailable' })
})

test('the journal lists the newest first, and forgets only what has ended', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(waitingStep('one')))
  const second = { ...saga(quickStep('one')), kind: 'quick' }
  runner.register(second)
  runner.start('test', 'a', null, DEADLINE_AT)
  runner.start('quick', 'b', null, DEADLINE_AT)
  await runner.whenEnded('b')
  const ids = (filter: Parameters<SagaJournal['list']>[0]) => bench.journal.list(filter).map(({ id }) => id)
  assert.deepEqual(ids({}), ['b', 'a'])
  assert.deepEqual(ids({ limit: 1 }), ['b'])
  assert.deepEqual(ids({ kind: 'test' }), ['a'])
  assert.deepEqual(ids({ ended: true }), ['b'])
  assert.deepEqual(ids({ ended: false }), ['a'])
  assert.throws(() => bench.journal.forget('a'), { code: 'refused' })
  bench.journal.forget('b')
  assert.equal(runner.view('b'), undefined)
  assert.equal(bench.db.prepare("SELECT count(*) AS n FROM saga_events WHERE saga_id = 'b'").pluck().get(), 0)
  await runner.close()
})

test('a clock set back while a step hangs: its deadline comes later, and is not missed', async () => {
  const bench = createBench()
  const runner = bench.boot(saga(waitingStep('hang')))
  runner.start('test', 'a', null, DEADLINE_AT)
  await settle()
  const now = bench.clock.now
  bench.clock.now = () => now() - 5000
  await bench.clock.advance(600_000)
  assert.equal(runner.view('a')?.state, 'running', 'five seconds are left by the clock')
  await bench.clock.advance(5000)
  const view = await runner.whenEnded('a')
  assert.deepEqual([view.state, view.errorCode], ['undone', 'timeout'])
})
