import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

/** Signals and exit codes belong to a process, so each story has one of its own. */
const dir = mkdtempSync(join(tmpdir(), 'lifeboat-lifecycle-'))
after(() => rmSync(dir, { recursive: true }))

const urlOf = (path: string) => JSON.stringify(new URL(`../../shared/${path}`, import.meta.url).href)

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly lines: readonly string[]
}

function startService(body: string, env: Record<string, string> = {}) {
  const script = `
    const { runService } = await import(${urlOf('lifecycle.ts')})
    const { createLogger } = await import(${urlOf('log.ts')})
    const { LifeboatError } = await import(${urlOf('errors.ts')})
    const log = createLogger({ level: 'info', format: 'journal' })
    const never = new Promise(() => {})
    process.exitCode = await runService({ name: 'test', log, ${body} })
  `
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  return { child, ...watch(child) }
}

function watch(child: ChildProcess) {
  let text = ''
  const waiting: { part: string; resolve: () => void }[] = []
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    for (const { part, resolve } of waiting) if (text.includes(part)) resolve()
  })
  const said = async (part: string) => {
    await new Promise<void>(resolve => {
      waiting.push({ part, resolve })
      if (text.includes(part)) resolve()
    })
  }
  const ended = new Promise<Ended>(resolve => {
    child.once('close', (code, signal) => resolve({ code, signal, lines: text.trimEnd().split('\n') }))
  })
  return { said, ended }
}

const HOLDING =
  'start: async () => { const held = setInterval(() => {}, 1000); return { close: async () => clearInterval(held) } }'

test('a service runs until SIGTERM, drains, and ends with 0', async () => {
  const service = startService(HOLDING)
  await service.said('test: ready')
  service.child.kill('SIGTERM')
  const { code, lines } = await service.ended
  assert.equal(code, 0)
  assert.deepEqual(lines, ['<6>test: ready', '<6>test: stopping', '<6>test: stopped'])
})

test('a bad configuration ends with 78, so that systemd does not try it again', async () => {
  const service = startService(
    "start: async () => { throw new LifeboatError('bad-config', 'x.toml: 1 problem', { details: ['a is not a known key'] }) }",
  )
  const { code, lines } = await service.ended
  assert.equal(code, 78)
  assert.deepEqual(lines, ['<3>test: cannot run error="x.toml: 1 problem (a is not a known key)"'])
})

test('any other failure to start ends with 1', async () => {
  const service = startService(
    "start: async () => { throw new LifeboatError('unavailable', 'port 7420 is in use') }",
  )
  assert.equal((await service.ended).code, 1)
})

test('told to end while it still starts, it ends without having been ready', async () => {
  const service = startService(`start: async signal => {
    log.info('test: starting')
    await new Promise(resolve => { const held = setInterval(() => {}, 1000); signal.addEventListener('abort', () => { clearInterval(held); resolve() }) })
    throw new LifeboatError('aborted', 'stopped')
  }`)
  await service.said('starting')
  service.child.kill('SIGINT')
  const { code, lines } = await service.ended
  assert.equal(code, 0)
  assert.deepEqual(lines, ['<6>test: starting'])
})

test('a drain that does not end is cut at its limit', async () => {
  const service = startService(
    'drainMs: 50, start: async () => { const held = setInterval(() => {}, 1000); return { close: () => { held.unref(); return never } } }',
  )
  await service.said('test: ready')
  service.child.kill('SIGTERM')
  const { code, lines } = await service.ended
  assert.equal(code, 1)
  assert.equal(lines.at(-1), '<3>test: did not drain in time limitMs=50')
})

test('something forgotten does not keep the process after the drain', async () => {
  const service = startService(
    'start: async () => { setInterval(() => {}, 1000); return { close: async () => {} } }',
  )
  await service.said('test: ready')
  service.child.kill('SIGTERM')
  const { signal, lines } = await service.ended
  assert.equal(signal, 'SIGTERM')
  assert.equal(lines.at(-1), '<4>test: something kept the process after its end')
})

test('a defect leaves one line and ends the process with 1', async () => {
  const service = startService(
    "start: async () => { setImmediate(() => { throw new TypeError('x is undefined') }); return { close: async () => {} } }",
  )
  const { code, lines } = await service.ended
  assert.equal(code, 1)
  assert.ok(lines.includes('<3>test: ended by a defect error="x is undefined"'))
})

test('systemd is told: ready, alive, stopping', async () => {
  const told = join(dir, 'told')
  // Stands in for systemd-notify, whose real one needs a real systemd to talk to.
  const tool = join(dir, 'systemd-notify')
  writeFileSync(tool, `#!/bin/sh\necho "$@" >> ${told}\necho "notified $1" >&2\n`)
  chmodSync(tool, 0o755)
  const env = {
    PATH: `${dir}:${process.env.PATH ?? ''}`,
    NOTIFY_SOCKET: '/nonexistent',
    WATCHDOG_USEC: '200000',
  }
  const service = startService(
    `start: async () => {
    const { existsSync, readFileSync } = await import('node:fs')
    // Two signs of life: the watchdog is fed again and again, not once.
    const held = setInterval(() => {
      const text = existsSync(${JSON.stringify(told)}) ? readFileSync(${JSON.stringify(told)}, 'utf8') : ''
      if (text.split('WATCHDOG=1').length > 2 && text.includes('READY=1')) process.kill(process.pid, 'SIGTERM')
    }, 20)
    return { close: async () => clearInterval(held) }
  }`,
    env,
  )
  assert.equal((await service.ended).code, 0)
  const words = new Set(readFileSync(told, 'utf8').trim().split('\n'))
  assert.deepEqual([...words].sort(), ['READY=1', 'STOPPING=1', 'WATCHDOG=1'])
})
