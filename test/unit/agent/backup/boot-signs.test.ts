import assert from 'node:assert/strict'
import { test } from 'node:test'
import { noSigns, seeSigns } from '../../../../agent/backup/boot-signs.ts'
import type { BootSign } from '../../../../shared/domain/backup.ts'

/** What the looks at a guest show, one number of console bytes each; `agent` from which look on it answers. */
function watch(console: readonly number[], wanted: BootSign, agent = Number.POSITIVE_INFINITY) {
  return console.reduce(
    (seen, consoleBytes, index) => seeSigns(seen, { agent: index >= agent, consoleBytes }, wanted),
    noSigns,
  )
}

test('a boot loader that says one thing and is silent is no sign of life', () => {
  assert.equal(watch([0, 0, 40, 40, 40, 40, 40], 'any').lives, false)
})

test('a console that goes on is one', () => {
  const seen = watch([0, 100, 100, 900, 2000], 'any')
  assert.equal(seen.lives, true)
  assert.match(seen.words, /2000 bytes/)
})

test('the guest agent is enough by itself, at its first answer', () => {
  assert.equal(watch([0, 0, 0], 'any', 2).lives, true)
  assert.equal(watch([0, 0, 0], 'guest-agent', 2).lives, true)
})

test('what was not asked for does not count', () => {
  assert.equal(watch([1, 2, 3, 4, 5], 'guest-agent').lives, false)
  assert.equal(watch([0, 0, 0], 'console', 0).lives, false)
})
