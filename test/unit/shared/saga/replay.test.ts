import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Json } from '../../../../shared/saga/definition.ts'
import { nextAction } from '../../../../shared/saga/next-action.ts'
import { replay, type SagaEvent, type StepShape, viewOf } from '../../../../shared/saga/replay.ts'

const SHAPES: readonly StepShape[] = [
  { name: 'reserve', cannotUndoBecause: '' },
  { name: 'send', cannotUndoBecause: 'the VM runs there' },
  { name: 'confirm', cannotUndoBecause: '' },
]
const DEADLINE_AT = 1000
const FACTS = { id: 'o1', kind: 'move', params: null, startedAt: 1, deadlineAt: DEADLINE_AT }

let at = 0
const started = (step: string): SagaEvent => ({ kind: 'step-started', at: ++at, step })
const done = (step: string, result?: Json): SagaEvent => ({
  kind: 'step-done',
  at: ++at,
  step,
  ...(result === undefined ? {} : { result }),
})
const failed = (step: string, options: { retryable?: boolean; errorCode?: string } = {}): SagaEvent => ({
  kind: 'step-failed',
  at: ++at,
  step,
  error: `${step} broke`,
  errorCode: options.errorCode ?? 'command-failed',
  retryable: options.retryable ?? false,
})
const undoStarted = (step: string): SagaEvent => ({ kind: 'undo-started', at: ++at, step })
const undoDone = (step: string): SagaEvent => ({ kind: 'undo-done', at: ++at, step })
const undoFailed = (step: string): SagaEvent => ({
  kind: 'undo-failed',
  at: ++at,
  step,
  error: 'no',
  errorCode: 'internal',
})
const abort = (because: 'person' | 'deadline' = 'person'): SagaEvent => ({
  kind: 'abort-requested',
  at: ++at,
  because,
})
const ended = (state: 'done' | 'undone' | 'needs-admin'): SagaEvent => ({
  kind: 'ended',
  at: ++at,
  state,
  error: '',
  errorCode: '',
})

const RESERVED = [started('reserve'), done('reserve', 'place 1')]
const SENT = [...RESERVED, started('send'), done('send')]

function actionAfter(events: readonly SagaEvent[], nowAt = 0) {
  return nextAction(replay(SHAPES, events), nowAt, DEADLINE_AT)
}

const stories: readonly { story: string; events: SagaEvent[]; nowAt?: number; expected: object }[] = [
  {
    story: 'an empty journal begins with the first step',
    events: [],
    expected: { kind: 'do', step: 'reserve', isUnknown: false, failures: 0 },
  },
  {
    story: 'a step that started and never finished is unknown',
    events: [started('reserve')],
    expected: { kind: 'do', step: 'reserve', isUnknown: true, failures: 0 },
  },
  {
    story: 'a step done leads to the next one',
    events: RESERVED,
    expected: { kind: 'do', step: 'send', isUnknown: false, failures: 0 },
  },
  {
    story: 'all steps done is the end',
    events: [...SENT, started('confirm'), done('confirm')],
    expected: { kind: 'end', state: 'done', error: '', errorCode: '' },
  },
  {
    story: 'a failure before the point of no return undoes the failed step first',
    events: [...RESERVED, started('send'), failed('send')],
    expected: { kind: 'undo', step: 'send', failures: 0 },
  },
  {
    story: 'a retryable failure before the point of no return is undone as well',
    events: [started('reserve'), failed('reserve', { retryable: true })],
    expected: { kind: 'undo', step: 'reserve', failures: 0 },
  },
  {
    story: 'the undo goes backwards',
    events: [...RESERVED, started('send'), failed('send'), undoStarted('send'), undoDone('send')],
    expected: { kind: 'undo', step: 'reserve', failures: 0 },
  },
  {
    story: 'an undo that was interrupted is done again',
    events: [started('reserve'), failed('reserve'), undoStarted('reserve')],
    expected: { kind: 'undo', step: 'reserve', failures: 0 },
  },
  {
    story: 'all undone is the end, with the first failure as its error',
    events: [started('reserve'), failed('reserve'), undoStarted('reserve'), undoDone('reserve')],
    expected: { kind: 'end', state: 'undone', error: 'reserve broke', errorCode: 'command-failed' },
  },
  {
    story: 'an abort before anything was done ends undone',
    events: [abort()],
    expected: { kind: 'end', state: 'undone', error: 'aborted on request', errorCode: 'aborted' },
  },
  {
    story: 'an abort undoes what was done',
    events: [...RESERVED, abort()],
    expected: { kind: 'undo', step: 'reserve', failures: 0 },
  },
  {
    story: 'the deadline is an abort with another reason',
    events: [abort('deadline')],
    expected: { kind: 'end', state: 'undone', error: 'the deadline passed', errorCode: 'timeout' },
  },
  {
    story:
      'aborted with the outcome of the step of no return unknown: it is learned before the direction is chosen',
    events: [...RESERVED, started('send'), abort()],
    expected: { kind: 'do', step: 'send', isUnknown: true, failures: 0 },
  },
  {
    story: 'aborted while the step of no return succeeded: forward is the only way',
    events: [...RESERVED, started('send'), abort(), done('send')],
    expected: { kind: 'do', step: 'confirm', isUnknown: false, failures: 0 },
  },
  {
    story: 'an abort behind the point of no return changes nothing',
    events: [...SENT, abort()],
    expected: { kind: 'do', step: 'confirm', isUnknown: false, failures: 0 },
  },
  {
    story: 'a retryable failure behind it is tried again',
    events: [...SENT, started('confirm'), failed('confirm', { retryable: true })],
    expected: { kind: 'do', step: 'confirm', isUnknown: false, failures: 1 },
  },
  {
    story: 'a step behind it is tried once even when the deadline is over',
    events: SENT,
    nowAt: DEADLINE_AT,
    expected: { kind: 'do', step: 'confirm', isUnknown: false, failures: 0 },
  },
  {
    story: 'but not again',
    events: [...SENT, started('confirm'), failed('confirm', { retryable: true })],
    nowAt: DEADLINE_AT,
    expected: {
      kind: 'end',
      state: 'needs-admin',
      error: "the deadline passed with 'confirm' not done: confirm broke",
      errorCode: 'timeout',
    },
  },
  {
    story: 'a failure for good behind it needs an admin',
    events: [...SENT, started('confirm'), failed('confirm')],
    expected: { kind: 'end', state: 'needs-admin', error: 'confirm broke', errorCode: 'command-failed' },
  },
  {
    story: 'nobody knows whether the step of no return happened: an admin decides, nothing is undone',
    events: [...RESERVED, started('send'), failed('send', { errorCode: 'needs-admin' })],
    expected: { kind: 'end', state: 'needs-admin', error: 'send broke', errorCode: 'needs-admin' },
  },
  {
    story: 'the same when it was aborted meanwhile',
    events: [...RESERVED, started('send'), abort(), failed('send', { errorCode: 'needs-admin' })],
    expected: { kind: 'end', state: 'needs-admin', error: 'send broke', errorCode: 'needs-admin' },
  },
  {
    story: 'an undo is tried again',
    events: [...RESERVED, abort(), undoStarted('reserve'), undoFailed('reserve')],
    expected: { kind: 'undo', step: 'reserve', failures: 1 },
  },
  {
    story: 'three failed undos need an admin',
    events: [
      ...RESERVED,
      abort(),
      ...[1, 2, 3].flatMap(() => [undoStarted('reserve'), undoFailed('reserve')]),
    ],
    expected: {
      kind: 'end',
      state: 'needs-admin',
      error: "step 'reserve' could not be undone: no",
      errorCode: 'needs-admin',
    },
  },
  { story: 'after the end there is nothing', events: [ended('needs-admin')], expected: { kind: 'nothing' } },
]

for (const { story, events, nowAt, expected } of stories) {
  test(`replay: ${story}`, () => assert.deepEqual(actionAfter(events, nowAt), expected))
}

const illegal: readonly { story: string; events: SagaEvent[]; message: RegExp }[] = [
  { story: 'a step nobody knows', events: [started('paint')], message: /no such step/ },
  { story: 'a step out of order', events: [started('send')], message: /an earlier step is not done/ },
  { story: 'done without having started', events: [done('reserve')], message: /the step is planned/ },
  { story: 'done twice', events: [...RESERVED, done('reserve')], message: /the step is done/ },
  { story: 'started again after it was done', events: [...RESERVED, started('reserve')], message: /is done/ },
  { story: 'failed without having started', events: [failed('reserve')], message: /the step is planned/ },
  {
    story: 'an undo while going forward',
    events: [...RESERVED, undoStarted('reserve')],
    message: /not unwinding/,
  },
  {
    story: 'an undo out of order',
    events: [...RESERVED, started('send'), failed('send'), undoStarted('reserve')],
    message: /not the last step/,
  },
  {
    story: 'undone without a start',
    events: [...RESERVED, abort(), undoDone('reserve')],
    message: /is done/,
  },
  {
    story: 'a new step while unwinding',
    events: [...RESERVED, abort(), started('send')],
    message: /unwinding/,
  },
  { story: 'done with steps left', events: [ended('done')], message: /not every step is done/ },
  {
    story: 'undone with something left',
    events: [...RESERVED, abort(), ended('undone')],
    message: /left to undo/,
  },
  { story: 'undone without unwinding', events: [ended('undone')], message: /left to undo/ },
  { story: 'anything after the end', events: [ended('needs-admin'), abort()], message: /has ended/ },
  {
    story: 'an event of a kind that a later version made',
    events: [{ kind: 'step-skipped', at: 1, step: 'reserve' } as unknown as SagaEvent],
    message: /no such kind of event/,
  },
]

for (const { story, events, message } of illegal) {
  test(`replay refuses ${story}`, () => {
    assert.throws(() => replay(SHAPES, events), { name: 'LifeboatError', code: 'internal', message })
  })
}

test('replay: the view tells each step, its times, its result and the first failure', () => {
  at = 10
  const events = [
    started('reserve'),
    done('reserve', 'place 1'),
    started('send'),
    failed('send'),
    undoStarted('send'),
  ]
  const view = viewOf(FACTS, replay(SHAPES, events))
  assert.equal(view.state, 'aborting')
  assert.equal(view.error, 'send broke')
  assert.deepEqual(view.results, { reserve: 'place 1' })
  assert.deepEqual(view.steps, [
    { name: 'reserve', state: 'done', startedAt: 11, endedAt: 12, error: '' },
    { name: 'send', state: 'undoing', startedAt: 13, endedAt: 0, error: 'send broke' },
    { name: 'confirm', state: 'planned', startedAt: 0, endedAt: 0, error: '' },
  ])
})

test('replay: a saga that was aborted too late and then succeeded has no error', () => {
  const events = [
    ...RESERVED,
    started('send'),
    abort(),
    done('send'),
    started('confirm'),
    done('confirm'),
    ended('done'),
  ]
  const view = viewOf(FACTS, replay(SHAPES, events))
  assert.deepEqual([view.state, view.error, view.errorCode], ['done', '', ''])
})
