import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createProgress } from '../../../../../agent/vault/commands/progress.ts'
import { MIB } from '../../../../../shared/domain/units.ts'
import { createManualClock } from '../../../../fakes/manual-clock.ts'

function watched(isTTY: boolean) {
  const clock = createManualClock()
  const written: string[] = []
  const progress = createProgress({ isTTY, write: text => written.push(text) }, clock)
  return { clock, written, progress }
}

test('what takes long is shown with the time left, and taken away before anything else is printed', async () => {
  const { clock, written, progress } = watched(true)
  progress.tell('web01: reading', 0, 64 * MIB)
  await clock.advance(1000)
  progress.tell('web01: reading', 8 * MIB, 64 * MIB)
  progress.clear()
  assert.deepEqual(written, [], 'what is over soon needs no bar')
  await clock.advance(3000)
  progress.tell('web01: reading', 16 * MIB, 64 * MIB)
  progress.clear()
  assert.deepEqual(written, [
    '\r\u001b[Kweb01: reading [#####---------------] 25 % 16 MiB of 64 MiB, 12 s left',
    '\r\u001b[K',
  ])
})

test('folders are no bytes; a log gets a line each ten seconds', async () => {
  const { clock, written, progress } = watched(false)
  progress.tell('scrubbing', 1, 65_536, 'folders')
  for (let second = 0; second < 20; second++) {
    await clock.advance(1000)
    progress.tell('scrubbing', 32_768, 65_536, 'folders')
  }
  assert.deepEqual(written, [
    'scrubbing [##########----------] 50 %, 2 s left\n',
    'scrubbing [##########----------] 50 %, 12 s left\n',
  ])
})
