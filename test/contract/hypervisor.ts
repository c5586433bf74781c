import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Hypervisor, MigrateOptions, MigrationStatistics } from '../../agent/hypervisor/hypervisor.ts'
import { errorCode } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/** Two blades without VMs, and what a test needs beside the interface to play with them. */
export interface HypervisorsUnderTest {
  readonly source: Hypervisor
  readonly target: Hypervisor
  readonly run: CommandRunner
  /** Defines a VM with one volume on the source, stopped. Its guest counts while it runs. */
  addVm(name: string): Promise<string>
  /** Empty volumes of that VM at the target. */
  makeTargetVolumes(id: string): Promise<void>
  /** Leads the outgoing sockets of the source to the incoming ones of the target, as the two agents do. */
  tunnel(vmName: string, moveId: string): Promise<{ cut(): void; close(): Promise<void> }>
  /** From now on migrations last until they are aborted, cut or cancelled; resolves when one has begun. */
  slowMigrations(): { readonly begun: Promise<unknown> }
  /** An administrator starts it at the source with his own tools. */
  startByHand(id: string): Promise<void>
  /** The guest's counter; the guest must stand still. */
  count(where: 'source' | 'target', id: string): Promise<number>
  close(): Promise<void>
}

const MOVE = '7b0d1c52-3c11-4f1e-9e0a-52d5c1a0aa01'
const COPY = '7b0d1c52-3c11-4f1e-9e0a-52d5c1a0aa02'
const NOBODY = '00000000-0000-4000-8000-000000000000'

/** Every promise of agent/hypervisor/hypervisor.ts in code. */
export function hypervisorContract(name: string, factory: () => Promise<HypervisorsUnderTest>): void {
  describe(`hypervisor contract: ${name}`, () => {
    let world: HypervisorsUnderTest
    beforeEach(async () => {
      world = await factory()
    })
    afterEach(async () => {
      await world.close()
    })
    lifeOfVm(() => world)
    definitions(() => world)
    migrations(() => world)
    brokenMigrations(() => world)
    remains(() => world)
  })
}

function lifeOfVm(get: () => HypervisorsUnderTest): void {
  it('a VM made by somebody else is listed as it stands, with its disks', async () => {
    const { source, addVm } = get()
    const id = await addVm('web01')
    const vm = (await source.list()).find(listed => listed.id === id)
    assert.ok(vm)
    assert.equal(vm.name, 'web01')
    assert.equal(vm.state, 'stopped')
    assert.equal(vm.persistent, true)
    assert.equal(vm.incoming, false)
    assert.equal(vm.epoch, 0)
    assert.equal(vm.volumes.length, 1)
    assert.ok(vm.memoryBytes > 0)
  })

  it('start, pause, resume and stop lead to their state, and each may be repeated', async () => {
    const { source, run, addVm } = get()
    const id = await addVm('web01')
    const twice = async (act: () => Promise<void>, state: string) => {
      await act()
      await act()
      assert.equal(await source.state(id), state)
    }
    await twice(() => source.start(id, run), 'running')
    await twice(() => source.pause(id, run), 'paused')
    await twice(() => source.resume(id, run), 'running')
    await twice(() => source.stop(id, true, 10_000, run), 'stopped')
  })

  it('an unknown VM is absent, and whoever asks for more than its state hears not-found', async () => {
    const { source, run } = get()
    assert.equal(await source.state(NOBODY), 'absent')
    assert.equal(await codeOf(source.start(NOBODY, run)), 'not-found')
    assert.equal(await codeOf(source.stop(NOBODY, true, 1_000, run)), 'not-found')
    assert.equal(await codeOf(source.pause(NOBODY, run)), 'not-found')
    assert.equal(await codeOf(source.resume(NOBODY, run)), 'not-found')
    assert.equal(await codeOf(source.definition(NOBODY)), 'not-found')
    assert.equal(await codeOf(source.autostart(NOBODY)), 'not-found')
  })

  it('what another hand does is told to the watcher, until it stops watching', async () => {
    const { source, run, addVm, startByHand } = get()
    const id = await addVm('web01')
    const seen = Promise.withResolvers<void>()
    let calls = 0
    const stop = source.watch(() => {
      calls += 1
      seen.resolve()
    })
    await startByHand(id)
    await seen.promise
    assert.equal(await source.state(id), 'running')
    stop()
    const before = calls
    await source.stop(id, true, 10_000, run)
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(calls, before)
  })

  it('the capacity names what a VM may ask for', async () => {
    const capacity = await get().source.capacity()
    assert.ok(capacity.memoryBytes > 0)
    assert.ok(capacity.cpus > 0)
    assert.notEqual(capacity.hypervisor, '')
  })
}

function definitions(get: () => HypervisorsUnderTest): void {
  it('a definition carried to another blade makes the same VM there, stopped; twice is once', async () => {
    const { source, target, run, addVm } = get()
    const id = await addVm('web01')
    const text = await source.definition(id)
    await target.define(text, run)
    await target.define(text, run)
    const vms = (await target.list()).filter(vm => vm.id === id)
    assert.equal(vms.length, 1)
    assert.equal(vms[0]?.name, 'web01')
    assert.equal(vms[0]?.state, 'stopped')
  })

  it('a running VM is not undefined; a stopped one is, and may be so again', async () => {
    const { source, run, addVm } = get()
    const id = await addVm('web01')
    await source.start(id, run)
    assert.equal(await codeOf(source.undefine(id, run)), 'refused')
    assert.equal(await source.state(id), 'running')
    await source.stop(id, true, 10_000, run)
    await source.undefine(id, run)
    await source.undefine(id, run)
    assert.equal(await source.state(id), 'absent')
  })

  it('a copy for a look has a name of its own and no network, shows that it lives, and is erased without a trace', async () => {
    const { source, run, addVm } = get()
    const id = await addVm('web01')
    const original = (await source.list()).find(vm => vm.id === id)
    const disks = new Map(original?.volumes.map(volume => [volume.target, volume]))
    const copy = { id: COPY, name: 'lifeboat-test-7b0d1c52', disks, newIdentity: true, isolated: true }
    await source.define(source.adaptDefinition(await source.definition(id), copy), run)
    try {
      const listed = (await source.list()).find(vm => vm.id === COPY)
      assert.equal(listed?.name, copy.name)
      assert.deepEqual(listed?.networks, [])
      assert.equal(listed?.state, 'stopped')
      assert.deepEqual(await source.signsOfLife(COPY), { agent: false, consoleBytes: 0 })
      await source.start(COPY, run)
      assert.equal(await codeOf(source.erase(COPY, run)), 'refused')
      // Neither guest has an agent; both print while they run.
      while ((await source.signsOfLife(COPY)).consoleBytes === 0)
        await new Promise(resolve => setImmediate(resolve))
      assert.equal(await source.state(id), 'stopped')
    } finally {
      await source.stop(COPY, true, 10_000, run)
      await source.erase(COPY, run)
    }
    await source.erase(COPY, run)
    assert.equal(await source.state(COPY), 'absent')
    assert.equal(await codeOf(source.signsOfLife(COPY)), 'not-found')
    assert.equal((await source.list()).find(vm => vm.id === id)?.volumes[0]?.path, original?.volumes[0]?.path)
  })

  it('a definition is not adapted while a disk of it has no new place', async () => {
    const { source, addVm } = get()
    const text = await source.definition(await addVm('web01'))
    const changes = { id: COPY, name: 'web02', disks: new Map(), newIdentity: true, isolated: false }
    assert.throws(() => source.adaptDefinition(text, changes), { code: 'bad-input' })
    assert.throws(() => source.adaptDefinition('nonsense', changes), { code: 'bad-input' })
  })

  it('autostart is what was set last', async () => {
    const { source, run, addVm } = get()
    const id = await addVm('web01')
    await source.setAutostart(id, true, run)
    assert.equal(await source.autostart(id), true)
    await source.setAutostart(id, false, run)
    await source.setAutostart(id, false, run)
    assert.equal(await source.autostart(id), false)
  })
}

function migrations(get: () => HypervisorsUnderTest): void {
  it('ends off here and paused there, and goes on there at the step where it stopped here', async () => {
    const { source, target, run, count } = get()
    const id = await runningVm(get())
    const { promise, tunnel } = await beginMove(get(), id)
    const statistics = await promise
    await tunnel.close()
    assert.equal(await source.state(id), 'stopped')
    assert.equal(await target.state(id), 'paused')
    assert.equal(await count('target', id), await count('source', id))
    assert.ok(statistics.transferredBytes > 0)
    assert.ok(statistics.downtimeMs >= 0 && statistics.downtimeMs <= statistics.durationMs)
    assert.equal(await source.isMigrating(id), false)
    await target.resume(id, run)
    assert.equal(await target.state(id), 'running')
    assert.equal(await source.state(id), 'stopped')
  })

  it('the source keeps its definition, so that nothing is lost while the target is not confirmed', async () => {
    const { source } = get()
    const id = await runningVm(get())
    const before = await source.definition(id)
    const { promise, tunnel } = await beginMove(get(), id)
    await promise
    await tunnel.close()
    assert.equal(await source.definition(id), before)
  })

  it('tells its progress, never past the total', async () => {
    const id = await runningVm(get())
    const seen: [number, number][] = []
    const { promise, tunnel } = await beginMove(get(), id, {
      disks: ['vda'],
      onProgress: (done, total) => seen.push([done, total]),
    })
    await promise
    await tunnel.close()
    assert.ok(seen.every(([done, total]) => done >= 0 && done <= total))
  })

  it('the target goes on having it after a restart of its own: the definition is persistent there', async () => {
    const { target, run } = get()
    const id = await runningVm(get())
    const { promise, tunnel } = await beginMove(get(), id)
    await promise
    await tunnel.close()
    await target.resume(id, run)
    await target.stop(id, true, 10_000, run)
    assert.equal(await target.state(id), 'stopped')
  })

  it('a stopped VM cannot migrate live', async () => {
    const { source, addVm, makeTargetVolumes } = get()
    const id = await addVm('web01')
    await makeTargetVolumes(id)
    const { promise, tunnel } = await beginMove(get(), id)
    assert.notEqual(await codeOf(promise), 'no error')
    await tunnel.close()
    assert.equal(await source.state(id), 'stopped')
  })
}

function brokenMigrations(get: () => HypervisorsUnderTest): void {
  /** The VM runs here and nowhere else, and another migration succeeds. */
  const runsOnHereAndMayTryAgain = async (id: string) => {
    const { source, target, run } = get()
    assert.equal(await source.state(id), 'running')
    assert.equal(await source.isMigrating(id), false)
    await target.destroyIncoming(id, run)
    assert.equal(await target.state(id), 'absent')
  }

  it('without volumes at the target it fails, and runs on here', async () => {
    const { source, run, addVm } = get()
    const id = await addVm('web01')
    await source.start(id, run)
    const { promise, tunnel } = await beginMove(get(), id)
    assert.notEqual(await codeOf(promise), 'no error')
    await tunnel.close()
    await runsOnHereAndMayTryAgain(id)
  })

  it('streams that break in the middle leave it running here', async () => {
    const { slowMigrations } = get()
    const id = await runningVm(get())
    const { begun } = slowMigrations()
    const { promise, tunnel } = await beginMove(get(), id)
    const ended = codeOf(promise)
    await begun
    tunnel.cut()
    assert.notEqual(await ended, 'no error')
    await tunnel.close()
    await runsOnHereAndMayTryAgain(id)
  })

  it('an aborted signal cancels it', async () => {
    const { source, slowMigrations } = get()
    const id = await runningVm(get())
    const { begun } = slowMigrations()
    const abort = new AbortController()
    const { promise, tunnel } = await beginMove(get(), id, { signal: abort.signal })
    const ended = codeOf(promise)
    await begun
    assert.equal(await source.isMigrating(id), true)
    abort.abort()
    assert.equal(await ended, 'aborted')
    await tunnel.close()
    await runsOnHereAndMayTryAgain(id)
  })

  it('can be cancelled by somebody who did not begin it, twice and for nothing too', async () => {
    const { source, run, slowMigrations } = get()
    const id = await runningVm(get())
    await source.cancelMigration(id, run)
    const { begun } = slowMigrations()
    const { promise, tunnel } = await beginMove(get(), id)
    const ended = codeOf(promise)
    await begun
    await source.cancelMigration(id, run)
    await source.cancelMigration(id, run)
    assert.notEqual(await ended, 'no error')
    await tunnel.close()
    await runsOnHereAndMayTryAgain(id)
  })
}

function remains(get: () => HypervisorsUnderTest): void {
  it('an arrived VM nobody confirmed can be destroyed; the source has it still', async () => {
    const { source, target, run, count } = get()
    const id = await runningVm(get())
    const { promise, tunnel } = await beginMove(get(), id)
    await promise
    await tunnel.close()
    const before = await count('source', id)
    await target.destroyIncoming(id, run)
    await target.destroyIncoming(id, run)
    assert.equal(await target.state(id), 'absent')
    assert.equal(await source.state(id), 'stopped')
    assert.equal(await count('source', id), before)
  })

  it('destroyIncoming never takes a running VM', async () => {
    const { source, run } = get()
    const id = await runningVm(get())
    assert.equal(await codeOf(source.destroyIncoming(id, run)), 'refused')
    assert.equal(await source.state(id), 'running')
  })

  it('socket paths differ by VM and by move, and fit into a UNIX address whatever the name', () => {
    const { source, target } = get()
    const longName = 'x'.repeat(200)
    const all = ['web01', longName].flatMap(vmName =>
      [MOVE, NOBODY].flatMap(moveId => Object.values(source.outgoingSockets(vmName, moveId))),
    )
    assert.equal(new Set(all).size, all.length)
    for (const path of [...all, ...Object.values(target.incomingSockets(longName, MOVE))]) {
      assert.ok(Buffer.byteLength(path) <= 107, path)
    }
  })
}

async function runningVm({ source, run, addVm, makeTargetVolumes }: HypervisorsUnderTest): Promise<string> {
  const id = await addVm('web01')
  await source.start(id, run)
  await makeTargetVolumes(id)
  return id
}

/** Begins a migration of web01; the promise is the migration. */
async function beginMove(
  world: HypervisorsUnderTest,
  id: string,
  options: Partial<MigrateOptions> = {},
): Promise<{ promise: Promise<MigrationStatistics>; tunnel: { cut(): void; close(): Promise<void> } }> {
  const tunnel = await world.tunnel('web01', MOVE)
  const promise = world.source.migrate(id, world.source.outgoingSockets('web01', MOVE), {
    timeoutMs: 120_000,
    signal: new AbortController().signal,
    run: world.run,
    disks: ['vda'],
    onProgress: () => {},
    ...options,
  })
  // Awaited later by the test; until then a failure is not an unhandled one.
  promise.catch(() => {})
  return { promise, tunnel }
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return await promise.then(
    () => 'no error',
    (error: unknown) => errorCode(error),
  )
}
