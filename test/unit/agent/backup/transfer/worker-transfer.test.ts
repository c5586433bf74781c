import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createWorkerTransfer } from '../../../../../agent/backup/transfer/worker-transfer.ts'
import type { RestoreJob } from '../../../../../agent/backup/transfer.ts'
import { silentLogger } from '../../../../../shared/log.ts'
import { createManualClock } from '../../../../fakes/manual-clock.ts'
import { createScriptedRunner } from '../../../../fakes/scripted-runner.ts'

const JOB: RestoreJob = {
  kind: 'restore',
  vault: { kind: 'directory', path: '/vault' },
  ref: { vmId: '11111111-1111-4111-8111-111111111111', point: '20260301T020000Z' },
  writes: [],
  checked: true,
}

/** A worker that says this on its standard error and ends with 1. */
async function endOf(lines: readonly string[]): Promise<unknown> {
  const run = createScriptedRunner([])
  const transfer = createWorkerTransfer({ run, clock: createManualClock(), log: silentLogger })
  const restored = transfer.restore(JOB, { signal: new AbortController().signal })
  for (const line of lines) run.followed[0]?.complain(line)
  run.followed[0]?.end(1)
  return await restored.catch((error: unknown) => error)
}

test('of a worker that died the line is told that names the error, not the last one, which is a version', async () => {
  const error = (await endOf([
    'node:internal/process:12',
    '    triggerUncaughtException(error, true)',
    '',
    'RangeError: Array buffer allocation failed',
    '    at pack (frames.ts:12:3) {',
    "  code: 'ERR_OUT_OF_RANGE'",
    '}',
    '',
    'Node.js v24.0.0',
  ])) as Error
  assert.match(error.message, /ended with 1 before it was done/)
  assert.equal(error.cause, 'RangeError: Array buffer allocation failed')
})

test('of one that names no error its last words are told, and of a silent one none', async () => {
  assert.equal(((await endOf(['reading vda', 'Killed', ''])) as Error).cause, 'Killed')
  assert.equal(((await endOf([])) as Error).cause, undefined)
})
