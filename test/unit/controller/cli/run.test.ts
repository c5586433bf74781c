import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCli } from '../../../../controller/cli/run.ts'

/** What a run of the CLI writes to standard error, and its exit code. */
async function complaints(...words: readonly string[]): Promise<{ code: number; text: string }> {
  const lines: string[] = []
  const write = process.stderr.write
  process.stderr.write = (text: string | Uint8Array) => lines.push(String(text)) > 0
  try {
    const code = await runCli(['node', 'lifeboat', ...words], () => 0)
    return { code, text: lines.join('') }
  } finally {
    process.stderr.write = write
  }
}

test('what is misspelt is told as text, or as JSON where JSON was asked for', async () => {
  const text = await complaints('evacute', 'blade03')
  assert.equal(text.code, 2)
  assert.match(text.text, /^error: unknown command 'evacute'\n\(Did you mean evacuate\?\)/)
  for (const words of [
    ['evacute', 'blade03', '--output', 'json'],
    ['-ojson', 'evacute'],
    ['--output=json', 'evacute'],
  ]) {
    const { code, text } = await complaints(...words)
    assert.equal(code, 2)
    const { error } = JSON.parse(text) as { error: { code: string; message: string } }
    assert.equal(error.code, 'bad-input')
    assert.match(error.message, /^unknown command 'evacute'/)
  }
})

test('only a command that follows something listens for Ctrl-C: any other ends by it at once', async () => {
  const before = process.listenerCount('SIGINT')
  const { code } = await complaints('--socket', '/nowhere/s', 'status')
  assert.equal(code, 4)
  assert.equal(process.listenerCount('SIGINT'), before)
})

test('a command that begins something listens before it asks: whoever leaves is told what goes on', async () => {
  const before = process.listeners('SIGINT')
  try {
    await complaints('--socket', '/nowhere/s', 'backup', 'run', 'web01')
    assert.equal(process.listenerCount('SIGINT'), before.length + 1)
  } finally {
    for (const listener of process.listeners('SIGINT')) {
      if (!before.includes(listener)) process.removeListener('SIGINT', listener)
    }
  }
})
