import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createVirshHypervisor } from '../../../../agent/hypervisor/virsh.ts'
import { errorCode, LifeboatError } from '../../../../shared/errors.ts'
import type { CommandRunner } from '../../../../shared/exec.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createHastyClock, createManualClock } from '../../../fakes/manual-clock.ts'
import {
  createScriptedRunner,
  type ScriptedCommand,
  type ScriptedRunner,
} from '../../../fakes/scripted-runner.ts'
import { golden, goldenSections } from './support.ts'

const URI = 'qemu:///system'
const WEB01 = '11111111-2222-4333-8444-000000000001'
const NOBODY = '00000000-0000-4000-8000-000000000000'
const GONE = `error: failed to get domain '${NOBODY}'\n`

const isInventory = (argv: readonly string[]) => argv[3]?.startsWith('list --all --uuid --name; ') === true
const isDumpxml = (argv: readonly string[]) => argv[3]?.startsWith('dumpxml ') === true && argv.length === 4
const isCapacity = (argv: readonly string[]) => argv[3]?.includes('nodeinfo') === true
const answer = (words: readonly string[], rest: Partial<ScriptedCommand> = {}): ScriptedCommand => ({
  argv: ['virsh', '--connect', URI, ...words],
  ...rest,
})
const stateIs = (id: string, state: number, reason = 1, times?: number) =>
  answer(['domstats', '--raw', '--nowait', '--state', id], {
    stdout: `Domain: 'web01'\n  state.state=${state}\n  state.reason=${reason}\n\n`,
    times,
  })
const stateGone = (id: string) =>
  answer(['domstats', '--raw', '--nowait', '--state', id], { exitCode: 1, stderr: GONE })

/** Answers each dumpxml of a batch from the recorded ones, as libvirt would. */
function dumpxmlOf(argv: readonly string[]): string {
  const all = goldenSections('dumpxml-batch.txt')
  const ids = (argv[3] ?? '').split('; ').flatMap(command => /^dumpxml (\S+)/.exec(command)?.[1] ?? [])
  return ids
    .map(id => all.find(text => text.includes(`<uuid>${id}</uuid>`)) ?? '\n')
    .join('lifeboat-section\n')
}

/** A virsh without a command ends at once: every question is a process of the script. The other way has its own tests. */
function withoutSession(run: ScriptedRunner): CommandRunner {
  return {
    ...run,
    follow: (argv, options) => {
      const program = run.follow(argv, options)
      if (argv.length === SESSION_WORDS) queueMicrotask(() => options.onEnd(1))
      return program
    },
  }
}
const SESSION_WORDS = ['virsh', '--connect', URI].length

function world(script: readonly ScriptedCommand[], runtimeDir = '/run/libvirt/lifeboat') {
  const run = createScriptedRunner(script)
  const clock = createManualClock()
  const hypervisor = createVirshHypervisor({
    run: withoutSession(run),
    uri: URI,
    clock,
    log: silentLogger,
    runtimeDir,
    bridges: async () => ['br0'],
  })
  const count = (matches: (argv: readonly string[]) => boolean) =>
    run.calls.filter(call => matches(call.argv)).length
  return { run, clock, hypervisor, count }
}

const INVENTORY: readonly ScriptedCommand[] = [
  { argv: isInventory, stdout: golden('inventory-batch.txt') },
  { argv: isDumpxml, stdout: dumpxmlOf },
]

describe('the inventory of a blade', () => {
  it('lists every VM with its state, its disks and what holds it', async () => {
    const { hypervisor } = world(INVENTORY)
    const vms = await hypervisor.list()
    assert.deepEqual(
      vms.map(vm => `${vm.name} ${vm.state} ${vm.persistent} ${vm.obstacles.length}`),
      [
        'web01 running true 0',
        "db 01 'old' paused true 4",
        'temp running false 1',
        'bound stopped true 5',
        'crashed stopped true 0',
        'odd-disks stopped true 7',
      ],
    )
    assert.deepEqual(vms[0]?.volumes[0], {
      target: 'vda',
      path: '/dev/vg0/web01',
      format: 'raw',
      storage: 'thick',
      pool: '',
      sizeBytes: 0,
      allocatedBytes: 0,
    })
  })

  it('without events every look reads all definitions: two processes', async () => {
    const { hypervisor, run } = world(INVENTORY)
    await hypervisor.list()
    await hypervisor.list()
    assert.equal(run.calls.length, 4)
  })

  it('with events a look at an unchanged blade is one process, and a changed VM is read alone', async () => {
    const { hypervisor, run, clock, count } = world(INVENTORY)
    hypervisor.watch(() => {})
    run.followed[0]?.print(URI)
    await clock.advance(2000)
    await hypervisor.list()
    await hypervisor.list()
    assert.equal(count(isInventory), 2)
    assert.equal(count(isDumpxml), 1)
    run.followed[0]?.print("event 'lifecycle' for domain 'web01': Defined Updated")
    await hypervisor.list()
    await hypervisor.list()
    assert.deepEqual(run.calls.filter(call => isDumpxml(call.argv)).at(-1)?.argv[3], `dumpxml ${WEB01}`)
    assert.equal(count(isDumpxml), 2)
  })

  it('an event that comes while a definition is read makes it old at once', async () => {
    const { hypervisor, run, clock, count } = world([])
    run.script([
      INVENTORY[0] as ScriptedCommand,
      {
        argv: isDumpxml,
        stdout: dumpxmlOf,
        onCall: () => run.followed[0]?.print("event 'device-added' for domain 'web01': virtio-disk2"),
      },
    ])
    hypervisor.watch(() => {})
    run.followed[0]?.print(URI)
    await clock.advance(2000)
    await hypervisor.list()
    await hypervisor.list()
    assert.equal(count(isDumpxml), 2)
  })

  it('a definition is read again after ten minutes, and when its VM starts or stops', async () => {
    const { hypervisor, run, clock, count } = world(INVENTORY)
    hypervisor.watch(() => {})
    run.followed[0]?.print(URI)
    await clock.advance(2000)
    await hypervisor.list()
    await clock.advance(10 * 60_000 + 1)
    await hypervisor.list()
    assert.equal(count(isDumpxml), 2)
    const started = golden('inventory-batch.txt').replace(
      "Domain: 'bound'\n  state.state=5",
      "Domain: 'bound'\n  state.state=1",
    )
    run.script([{ argv: isInventory, stdout: started }])
    await hypervisor.list()
    assert.equal(count(isDumpxml), 3)
  })

  it('a VM that vanishes between the two processes is left out, and is no error', async () => {
    const { hypervisor } = world([
      INVENTORY[0] as ScriptedCommand,
      {
        argv: isDumpxml,
        stdout: argv => dumpxmlOf(argv).replace(/^<domain.*?<\/domain>\n/s, ''),
        stderr: GONE,
        exitCode: 1,
      },
    ])
    assert.equal((await hypervisor.list()).length, 5)
  })

  it('a list that failed is never an empty list', async () => {
    const { hypervisor } = world([
      {
        argv: isInventory,
        stdout: golden('inventory-batch.txt').replace(/^[0-9a-f]{8}-.*\n/gm, ''),
        stderr: 'error: Failed to list domains\nerror: internal error: something\n',
      },
    ])
    await assert.rejects(hypervisor.list(), error => errorCode(error) === 'command-failed')
  })

  it('libvirt that is not there, hangs or goes away in between is unavailable; a missing virsh says so', async () => {
    const cases: readonly (readonly [Partial<ScriptedCommand>, string])[] = [
      [{ exitCode: 1, stderr: golden('error-no-connection.txt') }, 'unavailable'],
      [
        { exitCode: 0, stderr: 'error: Disconnected from qemu:///system due to end of file\n' },
        'unavailable',
      ],
      [{ error: new LifeboatError('timeout', 'virsh did not end') }, 'unavailable'],
      [
        { error: new LifeboatError('tool-missing', 'virsh is not installed: apt install libvirt-clients') },
        'tool-missing',
      ],
      [{ stdout: golden('inventory-batch.txt').slice(0, 400) }, 'bad-tool-output'],
    ]
    for (const [failure, code] of cases) {
      const { hypervisor } = world([{ argv: isInventory, ...failure }])
      await assert.rejects(hypervisor.list(), error => errorCode(error) === code, code)
    }
  })
})

describe('the capacity of a blade', () => {
  it('names memory, CPUs, networks and CPU models, and asks for the models once', async () => {
    const { hypervisor, run } = world([
      { argv: isCapacity, stdout: golden('capacity-batch.txt') },
      answer(['domcapabilities'], { stdout: golden('qemu-11.3/domcapabilities.xml') }),
    ])
    const capacity = await hypervisor.capacity()
    assert.deepEqual(capacity.networks, ['bridge:br0', 'network:default'])
    assert.equal(capacity.cpus, 8)
    assert.ok(capacity.cpuModels.includes('qemu64'))
    await hypervisor.capacity()
    assert.equal(run.callsOf('virsh', '--connect', URI, 'domcapabilities').length, 1)
  })

  it('without readable CPU models is still a capacity, and they are asked for again', async () => {
    const { hypervisor, run } = world([
      { argv: isCapacity, stdout: golden('capacity-batch.txt') },
      answer(['domcapabilities'], { exitCode: 1, stderr: 'error: failed to get emulator capabilities\n' }),
    ])
    assert.deepEqual((await hypervisor.capacity()).cpuModels, [])
    await hypervisor.capacity()
    assert.equal(run.callsOf('virsh', '--connect', URI, 'domcapabilities').length, 2)
  })
})

describe('the life of a VM', () => {
  const refusal = { exitCode: 1, stderr: 'error: Domain is already active\n' }

  it('what is done already is done', async () => {
    const { hypervisor, run } = world([answer(['start', WEB01], refusal), stateIs(WEB01, 1)])
    await hypervisor.start(WEB01, run)
    assert.equal(run.calls.filter(call => call.argv.includes('start')).length, 1)
  })

  it('what libvirt refuses for another reason is an error with its words', async () => {
    const { hypervisor, run } = world([
      answer(['start', WEB01], {
        exitCode: 1,
        stderr: "error: Failed to start domain 'web01'\nerror: Cannot access storage file '/dev/vg0/web01'\n",
      }),
      stateIs(WEB01, 5),
    ])
    await assert.rejects(hypervisor.start(WEB01, run), /Cannot access storage file/)
  })

  it('an unknown VM is absent, and whoever asks for more hears not-found', async () => {
    const { hypervisor, run } = world([
      stateGone(NOBODY),
      answer(['resume', NOBODY], { exitCode: 1, stderr: GONE }),
      answer(['dominfo', NOBODY], { exitCode: 1, stderr: GONE }),
      answer(['dumpxml', NOBODY, '--inactive', '--security-info'], { exitCode: 1, stderr: GONE }),
    ])
    assert.equal(await hypervisor.state(NOBODY), 'absent')
    for (const promise of [
      hypervisor.resume(NOBODY, run),
      hypervisor.stop(NOBODY, true, 1000, run),
      hypervisor.autostart(NOBODY),
      hypervisor.definition(NOBODY),
    ]) {
      await assert.rejects(promise, error => errorCode(error) === 'not-found')
    }
  })

  it('a name instead of an id reaches no command', async () => {
    const { hypervisor, run } = world([])
    await assert.rejects(
      hypervisor.start('web01; destroy db01', run),
      error => errorCode(error) === 'bad-input',
    )
    assert.equal(run.calls.length, 0)
  })

  it('an orderly stop waits for the guest, and gives up at its limit', async () => {
    const patient = createScriptedRunner([
      answer(['shutdown', WEB01]),
      stateIs(WEB01, 1, 1, 4),
      stateIs(WEB01, 5, 1),
    ])
    const options = {
      uri: URI,
      clock: createHastyClock(0, Number.POSITIVE_INFINITY),
      log: silentLogger,
      bridges: async () => [],
    }
    await createVirshHypervisor({ ...options, run: patient }).stop(WEB01, false, 60_000, patient)
    const stubborn = createScriptedRunner([answer(['shutdown', WEB01]), stateIs(WEB01, 1)])
    await assert.rejects(
      createVirshHypervisor({ ...options, run: stubborn }).stop(WEB01, false, 5000, stubborn),
      error => errorCode(error) === 'timeout',
    )
  })

  it('a running VM is neither undefined nor taken for remains', async () => {
    const { hypervisor, run } = world([stateIs(WEB01, 1)])
    await assert.rejects(hypervisor.undefine(WEB01, run), error => errorCode(error) === 'refused')
    await assert.rejects(hypervisor.destroyIncoming(WEB01, run), error => errorCode(error) === 'refused')
  })

  it('remains of a migration: destroyed, then forgotten with their definition', async () => {
    const { hypervisor, run } = world([
      stateIs(WEB01, 3, 2, 1),
      answer(['destroy', WEB01]),
      stateIs(WEB01, 5, 2),
      answer(['undefine', WEB01, '--keep-nvram', '--keep-tpm', '--checkpoints-metadata']),
    ])
    await hypervisor.destroyIncoming(WEB01, run)
    assert.equal(run.callsOf('virsh', '--connect', URI, 'undefine').length, 1)
  })

  it('remains that had no definition yet are gone when they are destroyed', async () => {
    const { hypervisor, run } = world([stateIs(WEB01, 3, 2, 1), answer(['destroy', WEB01]), stateGone(WEB01)])
    await hypervisor.destroyIncoming(WEB01, run)
    assert.equal(run.calls.filter(call => call.argv.includes('destroy')).length, 1)
  })

  it('remains that libvirt is ending by itself are no running VM: waited for until they are gone', async () => {
    const run = createScriptedRunner([stateIs(WEB01, 4, 0, 2), stateGone(WEB01)])
    const clock = createHastyClock(0, Number.POSITIVE_INFINITY)
    const options = { uri: URI, clock, log: silentLogger, bridges: async () => [] }
    await createVirshHypervisor({ ...options, run }).destroyIncoming(WEB01, run)
    const stuck = createScriptedRunner([stateIs(WEB01, 4)])
    await assert.rejects(
      createVirshHypervisor({ ...options, run: stuck }).destroyIncoming(WEB01, stuck),
      error => errorCode(error) === 'refused',
    )
  })

  it('an empty answer about a VM that is just going away is asked about again', async () => {
    const empty = answer(['domstats', '--raw', '--nowait', '--state', WEB01], { stdout: '\n', times: 1 })
    const { hypervisor } = world([empty, stateGone(WEB01)])
    assert.equal(await hypervisor.state(WEB01), 'absent')
  })

  it('a definition reaches virsh in a file that only its owner may read and that is gone afterwards', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'define-'))
    const definition = goldenSections('dumpxml-batch.txt')[0] ?? ''
    const seen: string[] = []
    try {
      const { hypervisor, run } = world(
        [
          {
            argv: argv => argv[3] === 'define',
            onCall: argv => {
              const path = argv[4] ?? ''
              seen.push(readFileSync(path, 'utf8'), (statSync(path).mode & 0o777).toString(8))
            },
          },
        ],
        directory,
      )
      await hypervisor.define(definition, run)
      assert.deepEqual(seen, [definition, '600'])
      assert.deepEqual(readdirSync(directory), [])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })
})
