import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../../shared/clock.ts'
import type { CommandRecord } from '../../../shared/domain/operation.ts'
import { createCommandRunner, debianPackageOf } from '../../../shared/exec-node.ts'

// Real tiny programs and real time; every limit here is either far from what it needs or meant to strike.
const runner = createCommandRunner(systemClock)
const LIMIT = { timeoutMs: 30_000 }

function node(script: string): string[] {
  return [process.execPath, '-e', script]
}

test('a program gets its arguments as they are, without a shell, and a plain locale', async () => {
  const tricky = '$(reboot); `x` "y" *'
  const result = await runner.run(['printf', '%s|', tricky, ''], LIMIT)
  assert.deepEqual([result.stdout, result.stderr, result.exitCode], [`${tricky}||`, '', 0])
  const env = await runner.run(node('console.log(process.env.LC_ALL, process.env.EXTRA)'), {
    ...LIMIT,
    env: { EXTRA: 'yes', LC_ALL: 'de_DE' },
  })
  assert.equal(env.stdout, 'C yes\n')
})

test('standard input is handed over, and a program that does not read it is no error', async () => {
  assert.equal((await runner.run(['cat'], { ...LIMIT, stdin: 'definition' })).stdout, 'definition')
  assert.equal((await runner.run(['true'], { ...LIMIT, stdin: 'x'.repeat(1_000_000) })).exitCode, 0)
})

test('an exit code that is no answer is an error with the last line of stderr', async () => {
  const argv = ['sh', '-c', 'echo first >&2; echo "insufficient free space" >&2; exit 5']
  await assert.rejects(runner.run(argv, LIMIT), {
    code: 'command-failed',
    message: 'sh exited with 5: insufficient free space',
  })
  const result = await runner.run(argv, { ...LIMIT, okExitCodes: [0, 5] })
  assert.deepEqual([result.exitCode, result.stderr], [5, 'first\ninsufficient free space\n'])
})

test('a program that somebody else killed is told as such', async () => {
  await assert.rejects(runner.run(['sh', '-c', 'kill -SEGV $$'], LIMIT), {
    code: 'command-failed',
    message: 'sh was killed by SIGSEGV',
  })
})

test('a missing program names the package to install', async () => {
  const bare = { ...LIMIT, env: { PATH: '/nonexistent' } }
  await assert.rejects(runner.run(['virsh', 'list'], bare), {
    code: 'tool-missing',
    message: 'virsh is not installed: apt install libvirt-clients',
  })
  await assert.rejects(runner.run(['no-such-program'], bare), {
    code: 'tool-missing',
    message: 'no-such-program is not installed',
  })
  const packages = ['lvs', 'lvcreate', '/usr/sbin/vgs', 'mdadm', 'ipmitool', 'qemu-img', 'systemd-run', 'sh']
  assert.deepEqual(packages.map(debianPackageOf), [
    'lvm2',
    'lvm2',
    'lvm2',
    'mdadm',
    'ipmitool',
    'qemu-utils',
    'systemd',
    undefined,
  ])
})

test('a program that cannot be executed is an error with its cause', async () => {
  await assert.rejects(runner.run(['/'], LIMIT), { code: 'command-failed', message: '/ cannot be started' })
})

test('the time limit ends a program and what it started', async () => {
  const argv = ['sh', '-c', 'sleep 600 & echo $!; wait']
  const records: CommandRecord[] = []
  const observed = runner.observed(record => records.push(record))
  await assert.rejects(observed.run(argv, { timeoutMs: 300 }), {
    code: 'timeout',
    message: 'sh did not end within 300 ms',
  })
  assert.deepEqual(
    records.map(({ exitCode }) => exitCode),
    [-1],
  )
})

test('a program that ignores SIGTERM is killed', async () => {
  const argv = node("process.on('SIGTERM', () => {}); console.log('ready'); setInterval(() => {}, 1000)")
  await assert.rejects(runner.run(argv, { timeoutMs: 1000 }), { code: 'timeout' })
})

test('the signal stops a program, also one that has not begun', async () => {
  const stop = new AbortController()
  const running = runner.run(['sleep', '600'], { ...LIMIT, signal: stop.signal })
  stop.abort()
  await assert.rejects(running, { code: 'aborted', message: 'sleep was stopped on request' })
  await assert.rejects(runner.run(['touch', '/nonexistent/x'], { ...LIMIT, signal: stop.signal }), {
    code: 'aborted',
  })
})

test('a program that prints without end is stopped at the cap', async () => {
  await assert.rejects(runner.run(['yes'], LIMIT), {
    code: 'bad-tool-output',
    message: 'yes printed more than 8388608 bytes',
  })
})

test('a daemon that keeps the pipe open does not keep the caller waiting', async () => {
  const result = await runner.run(['sh', '-c', 'setsid sleep 8 & echo started'], { timeoutMs: 7000 })
  assert.equal(result.stdout, 'started\n')
})

test('an observer is told of every finished command, also the failed, with the tail of stderr', async () => {
  const records: CommandRecord[] = []
  const observed = runner.observed(record => records.push(record))
  await observed.run(['true'], LIMIT)
  const loud = node("process.stderr.write('x'.repeat(5000) + 'end'); process.exitCode = 3")
  await assert.rejects(observed.run(loud, LIMIT), { code: 'command-failed' })
  await assert.rejects(observed.run(['no-such-program'], LIMIT), { code: 'tool-missing' })
  await runner.run(['true'], LIMIT)
  assert.deepEqual(
    records.map(({ argv, exitCode }) => [argv[0], exitCode]),
    [
      ['true', 0],
      [process.execPath, 3],
      ['no-such-program', -1],
    ],
  )
  assert.equal(records[1]?.stderrTail, `${'x'.repeat(2045)}end`)
})

test('observers add up', async () => {
  const seen: string[] = []
  const inner = runner.observed(() => seen.push('first')).observed(() => seen.push('second'))
  await inner.run(['true'], LIMIT)
  assert.deepEqual(seen, ['first', 'second'])
})

test('a command typed into a followed program can be told to the observers, and only to them', () => {
  const records: CommandRecord[] = []
  const record = { argv: ['lvcreate'], exitCode: 0, startedAt: 1, durationMs: 2, stderrTail: '' }
  runner.observed(one => records.push(one)).note(record)
  runner.note(record)
  assert.deepEqual(records, [record])
})

test('a followed program gives its lines as they come, and its end', async () => {
  const lines: string[] = []
  const end = Promise.withResolvers<number>()
  const argv = ['sh', '-c', 'printf "one\\ntw"; printf "o\\nthree"; exit 4']
  runner.follow(argv, { onLine: line => lines.push(line), onEnd: end.resolve })
  assert.equal(await end.promise, 4)
  assert.deepEqual(lines, ['one', 'two', 'three'])
})

test('stop ends a followed program; a missing one ends at once', async () => {
  const first = Promise.withResolvers<void>()
  const end = Promise.withResolvers<number>()
  const following = runner.follow(['sh', '-c', 'echo ready; sleep 600'], {
    onLine: () => first.resolve(),
    onEnd: end.resolve,
  })
  await first.promise
  following.stop()
  assert.equal(await end.promise, -1)
  const missing = Promise.withResolvers<number>()
  runner.follow(['no-such-program'], { onLine: () => {}, onEnd: missing.resolve })
  assert.equal(await missing.promise, -1)
})

test('a followed program is written to line by line, and its complaints are told apart', async () => {
  const lines: string[] = []
  const complaints: string[] = []
  const end = Promise.withResolvers<number>()
  const program = runner.follow(
    ['sh', '-c', 'while read -r w; do echo "got $w"; echo "no $w" >&2; [ "$w" = end ] && exit 3; done'],
    {
      onLine: line => lines.push(line),
      onErrorLine: line => complaints.push(line),
      onEnd: end.resolve,
    },
  )
  program.write('one')
  program.write('end')
  assert.equal(await end.promise, 3)
  assert.deepEqual(
    [lines, complaints],
    [
      ['got one', 'got end'],
      ['no one', 'no end'],
    ],
  )
})
