import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { MigrateOptions } from '../../../../agent/hypervisor/hypervisor.ts'
import { createVirshHypervisor } from '../../../../agent/hypervisor/virsh.ts'
import { errorCode } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createHastyClock } from '../../../fakes/manual-clock.ts'
import { createScriptedRunner, type ScriptedCommand } from '../../../fakes/scripted-runner.ts'
import { golden } from './support.ts'

const URI = 'qemu:///system'
const WEB01 = '11111111-2222-4333-8444-000000000001'
const SOCKETS = { control: '/run/c', memory: '/run/m', disk: '/run/d' }
const FAILED = 'error: operation failed: migration of disk vda failed: Input/output error\n'

/** libvirt as a state that the test changes; the client ends when the test says so. */
function world() {
  const libvirt = {
    state: 1,
    reason: 1,
    migrating: false,
    reachable: true,
    completed: golden('qemu-11.3/domjobinfo-completed.txt'),
    onAbort: () => {},
  }
  const client = Promise.withResolvers<void>()
  const began = Promise.withResolvers<void>()
  const outcome: { exitCode: number; stderr: string } = { exitCode: 0, stderr: '' }
  const job = () => (libvirt.migrating ? golden('qemu-11.3/domjobinfo-active.txt') : 'Job type: 0\n\n')
  const stats = () => `Domain: 'web01'\n  state.state=${libvirt.state}\n  state.reason=${libvirt.reason}\n\n`
  const words = (argv: readonly string[]) => argv.slice(3)
  const unreachable: ScriptedCommand = {
    argv: () => !libvirt.reachable,
    exitCode: 1,
    stderr: golden('error-no-connection.txt'),
  }
  const run = createScriptedRunner([
    {
      argv: argv => words(argv)[0] === 'migrate',
      until: client.promise,
      onCall: () => {
        libvirt.migrating = true
        began.resolve()
      },
      get exitCode() {
        return outcome.exitCode
      },
      get stderr() {
        return outcome.stderr
      },
    },
    unreachable,
    { argv: argv => words(argv)[0] === 'domjobabort', onCall: () => libvirt.onAbort() },
    {
      argv: argv => words(argv)[0] === 'resume',
      onCall: () => Object.assign(libvirt, { state: 1, reason: 2 }),
    },
    {
      argv: argv => words(argv)[0]?.startsWith('domjobinfo ') === true,
      stdout: () =>
        [libvirt.completed, libvirt.state === 5 ? '\n' : job(), stats()].join('lifeboat-section\n'),
    },
    { argv: argv => words(argv)[0] === 'domjobinfo', stdout: job },
  ])
  const hypervisor = createVirshHypervisor({
    run,
    uri: URI,
    clock: createHastyClock(1_000_000, Number.POSITIVE_INFINITY),
    log: silentLogger,
    bridges: async () => [],
  })
  const migrate = (options: Partial<MigrateOptions> = {}) =>
    hypervisor.migrate(WEB01, SOCKETS, {
      timeoutMs: 600_000,
      signal: new AbortController().signal,
      run,
      disks: ['vda'],
      onProgress: () => {},
      ...options,
    })
  const end = (change: Partial<typeof libvirt>, exitCode: number, stderr = '') => {
    Object.assign(libvirt, { migrating: false, ...change })
    Object.assign(outcome, { exitCode, stderr })
    client.resolve()
  }
  const count = (word: string) => run.callsOf('virsh', '--connect', URI, word).length
  return { libvirt, run, hypervisor, migrate, end, began: began.promise, count }
}

const AWAY = { state: 5, reason: 4 }
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => errorCode(error),
  )

describe('a live migration', () => {
  it('that succeeds gives libvirt’s own statistics', async () => {
    const { migrate, end, began } = world()
    const progress: number[] = []
    const statistics = migrate({
      disks: ['vda'],
      onProgress: (done, total) => {
        progress.push(done, total)
        end(AWAY, 0)
      },
    })
    await began
    const { downtimeMs, transferredBytes } = await statistics
    assert.equal(downtimeMs, 1286)
    assert.equal(transferredBytes, 68_313_914)
    assert.deepEqual(progress, [14_680_064, 67_239_936])
  })

  it('that fails leaves libvirt’s reason and the VM running', async () => {
    const { migrate, end, began, hypervisor } = world()
    const ended = migrate()
    await began
    end({}, 1, FAILED)
    await assert.rejects(ended, /migration of disk vda failed: Input\/output error/)
    assert.equal(await hypervisor.isMigrating(WEB01), false)
  })

  it('is cancelled at libvirt, not by ending the client, when the signal says so', async () => {
    const { migrate, end, began, libvirt, run, count } = world()
    libvirt.onAbort = () => end({}, 1, "error: operation aborted: job 'migration out' canceled by client\n")
    const abort = new AbortController()
    const ended = codeOf(migrate({ signal: abort.signal }))
    await began
    abort.abort()
    assert.equal(await ended, 'aborted')
    assert.equal(count('domjobabort'), 1)
    const signal = run.callsOf('virsh', '--connect', URI, 'migrate')[0]?.options.signal
    assert.equal(signal?.aborted, false)
  })

  it('aborted before libvirt knows of it is cancelled as soon as libvirt does', async () => {
    const { migrate, end, libvirt, count } = world()
    const abort = new AbortController()
    abort.abort()
    libvirt.onAbort = () => {
      if (count('domjobabort') === 3) end({}, 1, 'error: operation aborted\n')
    }
    assert.equal(await codeOf(migrate({ signal: abort.signal })), 'aborted')
    assert.equal(count('domjobabort'), 3)
  })

  it('is cancelled when its time is over', async () => {
    const { migrate, end, libvirt } = world()
    libvirt.onAbort = () => end({}, 1, 'error: operation aborted\n')
    assert.equal(await codeOf(migrate({ timeoutMs: 30_000 })), 'timeout')
  })

  it('that was finished before the abort reached it is finished', async () => {
    const { migrate, end, began, libvirt } = world()
    libvirt.onAbort = () => end(AWAY, 0)
    const abort = new AbortController()
    const statistics = migrate({ signal: abort.signal })
    await began
    abort.abort()
    assert.equal((await statistics).downtimeMs, 1286)
  })

  it('whose client died while libvirt finished is finished', async () => {
    const { migrate, end, began } = world()
    const statistics = migrate()
    await began
    end(AWAY, 1, 'error: Disconnected from qemu:///system due to end of file\n')
    assert.equal((await statistics).downtimeMs, 1286)
  })

  it('whose client died while libvirt goes on is cancelled, and then it is over', async () => {
    const { migrate, end, began, libvirt, count } = world()
    libvirt.onAbort = () => {
      libvirt.migrating = false
    }
    const ended = codeOf(migrate())
    await began
    end({ migrating: true }, 1, 'error: Disconnected from qemu:///system due to I/O error\n')
    assert.equal(await ended, 'command-failed')
    assert.equal(count('domjobabort'), 1)
  })

  it('that libvirt left paused in its last phase is resumed here: the target still waits for our word', async () => {
    const { migrate, end, began, libvirt, count } = world()
    const ended = codeOf(migrate())
    await began
    end({ state: 3, reason: 2 }, 1, 'error: End of file while reading data: Input/output error\n')
    assert.equal(await ended, 'command-failed')
    assert.equal(count('resume'), 1)
    assert.equal(libvirt.state, 1)
  })

  it('of a VM that a person paused leaves it paused when it fails', async () => {
    const { migrate, end, began, libvirt, count } = world()
    Object.assign(libvirt, { state: 3, reason: 1 })
    const ended = codeOf(migrate())
    await began
    end({}, 1, FAILED)
    assert.equal(await ended, 'command-failed')
    assert.equal(count('resume'), 0)
  })

  it('that libvirtd finished while it was restarted is for the target to tell', async () => {
    const { migrate, end, began } = world()
    const ended = codeOf(migrate())
    await began
    end({ state: 5, reason: 0 }, 1, 'error: Disconnected from qemu:///system due to end of file\n')
    assert.equal(await ended, 'unavailable')
  })

  it('of a VM that its guest shut down meanwhile has failed', async () => {
    const { migrate, end, began } = world()
    const ended = codeOf(migrate())
    await began
    end({ state: 5, reason: 1 }, 1, 'error: operation failed: domain is not running\n')
    assert.equal(await ended, 'command-failed')
  })

  it('of which nobody can tell how it ended is unavailable: not done, and not undone either', async () => {
    const { migrate, end, began } = world()
    const ended = codeOf(migrate())
    await began
    end({ reachable: false }, 1, golden('error-no-connection.txt'))
    assert.equal(await ended, 'unavailable')
  })

  it('without statistics is a migration still; its duration stands for the pause', async () => {
    const { migrate, end, began, libvirt } = world()
    libvirt.completed = 'Job type: 0\n\n'
    const statistics = migrate()
    await began
    end(AWAY, 0)
    const { downtimeMs, durationMs } = await statistics
    assert.equal(downtimeMs, durationMs)
  })

  it('of a stopped VM, or a second one beside the first, is refused before anything is asked of libvirt', async () => {
    const stopped = world()
    Object.assign(stopped.libvirt, AWAY)
    assert.equal(await codeOf(stopped.migrate()), 'refused')
    const twice = world()
    twice.libvirt.migrating = true
    assert.equal(await codeOf(twice.migrate()), 'busy')
    assert.equal(stopped.count('migrate') + twice.count('migrate'), 0)
  })

  it('can be cancelled by somebody who did not begin it, and for nothing too', async () => {
    const { hypervisor, run, libvirt, count } = world()
    await hypervisor.cancelMigration(WEB01, run)
    assert.equal(count('domjobabort'), 0)
    libvirt.migrating = true
    libvirt.onAbort = () => {
      libvirt.migrating = false
    }
    await hypervisor.cancelMigration(WEB01, run)
    assert.equal(count('domjobabort'), 1)
  })

  it('is not said to be over while the VM executes and libvirt does not answer about its job', async () => {
    const { hypervisor, run } = world()
    run.script([
      {
        argv: argv => argv[3]?.startsWith('domjobinfo ') === true,
        stdout:
          "\nlifeboat-section\n\nlifeboat-section\nDomain: 'web01'\n  state.state=1\n  state.reason=1\n\n",
        stderr: 'error: Timed out during operation: cannot acquire state change lock (held by agent=none)\n',
      },
    ])
    assert.equal(await codeOf(hypervisor.isMigrating(WEB01)), 'timeout')
  })
})
