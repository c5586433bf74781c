import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { LifeboatError } from '../../../shared/errors.ts'
import { formatJournalLine, redactFields } from '../../../shared/log.ts'

test('a journal line begins with the priority systemd reads', () => {
  const line = formatJournalLine('info', 'intake', 'blade joined', { blade: 'blade03', slot: 3 })
  assert.equal(line, '<6>intake: blade joined blade=blade03 slot=3')
  assert.equal(formatJournalLine('error', '', 'x', {}), '<3>x')
  assert.equal(formatJournalLine('warn', '', 'x', {}), '<4>x')
  assert.equal(formatJournalLine('debug', '', 'x', {}), '<7>x')
})

test('an event is one line, whatever stands in its fields', () => {
  const line = formatJournalLine('warn', 'exec', 'failed', { stderr: 'a\nb', none: undefined, list: [1, 2] })
  assert.equal(line, '<4>exec: failed stderr="a\\nb" list=[1,2]')
  assert.equal(formatJournalLine('warn', 'exec', 'two\r\nlines', {}), '<4>exec: two | lines')
})

test('secrets do not reach the log, at any depth', () => {
  const fields = {
    joinToken: 'a',
    bmc: { user: 'admin', password_file: '/x', Password: 'b' },
    secrets: ['c'],
  }
  assert.deepEqual(redactFields(fields), {
    joinToken: '[hidden]',
    bmc: { user: 'admin', password_file: '[hidden]', Password: '[hidden]' },
    secrets: '[hidden]',
  })
})

test('an error is told as its chain of causes', () => {
  const error = new LifeboatError('unavailable', 'cannot list VMs', {
    cause: new Error('virsh exited with 1'),
  })
  assert.deepEqual(redactFields({ error }), { error: 'cannot list VMs: virsh exited with 1' })
})

// A process of its own, because what counts is which stream the lines leave by.
function linesOf(format: string): { stdout: string; stderr: string } {
  const url = new URL('../../../shared/log.ts', import.meta.url).href
  const script = `
    const { createLogger } = await import(${JSON.stringify(url)})
    const log = createLogger({ level: 'info', format: ${JSON.stringify(format)} }).child('agent').child('inventory')
    log.debug('too fine')
    log.info('vm web01: running => paused', { secret: 'x', blade: 'blade01' })
  `
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
  })
  return { stdout, stderr }
}

test('lines go to standard error only, below the level nothing is said, and children stack their names', () => {
  assert.deepEqual(linesOf('journal'), {
    stdout: '',
    stderr: '<6>agent/inventory: vm web01: running => paused secret=[hidden] blade=blade01\n',
  })
})

test('json lines carry the fields by name', () => {
  const { at, ...rest } = JSON.parse(linesOf('json').stderr)
  assert.match(at, /^\d{4}-\d\d-\d\dT/)
  assert.deepEqual(rest, {
    level: 'info',
    subsystem: 'agent/inventory',
    message: 'vm web01: running => paused',
    secret: '[hidden]',
    blade: 'blade01',
  })
})
