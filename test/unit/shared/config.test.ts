import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { z } from 'zod'
import { parseConfig, readConfigFile, section } from '../../../shared/config.ts'
import { LifeboatError } from '../../../shared/errors.ts'

const SCHEMA = z.strictObject({
  listen: section({ grpc: z.string().default('0.0.0.0:7420') }),
  evacuation: section({
    hold_s: z.int().min(0).max(86_400).default(60),
    mirror_degraded: z.enum(['evacuate', 'alert']).default('evacuate'),
  }),
})

const dir = mkdtempSync(join(tmpdir(), 'lifeboat-config-'))
after(() => rmSync(dir, { recursive: true }))

function problemsOf(text: string): { message: string; details: readonly string[] } {
  try {
    parseConfig(text, 'controller.toml', SCHEMA)
  } catch (error) {
    assert.ok(error instanceof LifeboatError)
    assert.equal(error.code, 'bad-config')
    return { message: error.message, details: error.details }
  }
  return assert.fail('the text was accepted')
}

test('what the file does not say is the default', () => {
  assert.deepEqual(parseConfig('[evacuation]\nhold_s = 5\n', 'x', SCHEMA), {
    listen: { grpc: '0.0.0.0:7420' },
    evacuation: { hold_s: 5, mirror_degraded: 'evacuate' },
  })
})

test('a missing file is all defaults, or an error that names it', () => {
  const path = join(dir, 'absent.toml')
  assert.equal(readConfigFile(path, SCHEMA, 'empty').evacuation.hold_s, 60)
  assert.throws(() => readConfigFile(path, SCHEMA, 'error'), {
    code: 'bad-config',
    message: `${path} does not exist`,
  })
})

test('a file is read, and a directory in its place is an error with its cause', () => {
  const path = join(dir, 'there.toml')
  writeFileSync(path, 'evacuation.hold_s = 7\n')
  assert.equal(readConfigFile(path, SCHEMA, 'error').evacuation.hold_s, 7)
  assert.throws(() => readConfigFile(dir, SCHEMA, 'empty'), {
    code: 'bad-config',
    message: `${dir} cannot be read`,
  })
})

test('broken TOML is told with its line, in one line', () => {
  const { message } = problemsOf('[listen]\ngrpc = "0.0.0.0:7420"\n[evacuation\nhold_s = 5\n')
  assert.match(message, /^controller\.toml:3: broken TOML: [^\n]+$/)
})

test('every problem is told at once, with the keys as they stand in the file', () => {
  const { message, details } = problemsOf(
    '[listen]\ngrcp = "x"\n[evacuation]\nhold_s = -1\nmirror_degraded = "pray"\n[evacution]\nhold_s = 3\n',
  )
  assert.equal(message, 'controller.toml: 4 problems')
  assert.deepEqual(details.toSorted(), [
    'evacuation.hold_s: must be >=0',
    'evacuation.mirror_degraded: must be one of "evacuate"|"alert"',
    'evacution is not a known key',
    'listen.grcp is not a known key',
  ])
})

test('a wrong type is told with what was expected', () => {
  const { details } = problemsOf('[evacuation]\nhold_s = "soon"\n')
  assert.deepEqual(details, ['evacuation.hold_s: must be a number, not a string'])
})
