import assert from 'node:assert/strict'
import { open } from 'node:fs/promises'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type {
  SnapshotPlan,
  SnapshotRequest,
  SnapshotSource,
  Snapshots,
} from '../../agent/backup/snapshots.ts'
import type { Vm } from '../../shared/domain/fleet.ts'
import { KIB, MIB } from '../../shared/domain/units.ts'
import { errorCode } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { until } from '../fakes/until.ts'

/** What the disks of a VM under test are. `file`: a raw image on a file system that lies on an LV. */
export type DisksUnderTest = 'thick' | 'thin' | 'two' | 'file'

/** A blade without VMs, and what a test needs beside the interface to play with it. */
export interface SnapshotsUnderTest {
  readonly snapshots: Snapshots
  readonly run: CommandRunner
  /** Kinds of disks this blade can have. */
  readonly kinds: readonly DisksUnderTest[]
  /** The same blade as seen by an agent on a kernel that is known to panic on snapshots. */
  onBadKernel(): Snapshots
  /** Makes and starts a VM with disks of at least 16 MiB. */
  addVm(kind: DisksUnderTest): Promise<Vm>
  /** What the guest does: writes to its disk, durably, past its first 8 MiB. */
  write(path: string, offsetBytes: number, data: Buffer): Promise<void>
  state(id: string): Promise<Vm['state'] | 'absent'>
  /** An administrator does it with his own tools. */
  byHand(id: string, act: 'pause' | 'stop'): Promise<void>
  /** `take` in a process that is killed (SIGKILL) while the guest is held; resolves when it is dead. */
  takeAndDie(plan: SnapshotPlan): Promise<void>
  /** Something holds up the snapshots of the next `take` for longer than the budget. */
  slowStorage(): Promise<{ end(): Promise<void> }>
  /** From now on the disk changes faster than its snapshot, which cannot grow, can take. */
  flood(vm: Vm): Promise<void>
  close(): Promise<void>
}

const BUDGET_MS = 5000
const OFFSET = 10 * MIB
/** What a leftover is that somebody's disk is not. */
const backup = (() => {
  let last = 0
  return () => `7b0d1c52-3c11-4f1e-9e0a-${String(++last).padStart(12, '0')}`
})()

/** Every promise of agent/backup/snapshots.ts in code. */
export function snapshotsContract(name: string, factory: () => Promise<SnapshotsUnderTest>): void {
  describe(`snapshots contract: ${name}`, () => {
    let world: SnapshotsUnderTest
    beforeEach(async () => {
      world = await factory()
    })
    afterEach(async () => {
      await world.close()
    })
    moments(() => world)
    states(() => world)
    bases(() => world)
    failures(() => world)
    remains(() => world)
  })
}

function requestFor(vm: Vm, change: Partial<SnapshotRequest> = {}): SnapshotRequest {
  return { backupId: backup(), vm, mode: 'pause', pauseBudgetMs: BUDGET_MS, force: false, ...change }
}

async function readAt(source: SnapshotSource, offsetBytes: number, length: number): Promise<Buffer> {
  const handle = await open(source.path, 'r')
  try {
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, offsetBytes)
    return buffer
  } finally {
    await handle.close()
  }
}

const pattern = (seed: number) => Buffer.alloc(64 * KIB, seed)
const first = (vm: Vm): string => vm.volumes[0]?.path ?? ''

async function left({ snapshots, run }: SnapshotsUnderTest, plan: SnapshotPlan): Promise<string[]> {
  const all = await snapshots.leftovers(run)
  return all.filter(one => one.backupId === plan.backupId).map(one => one.path)
}

function moments(get: () => SnapshotsUnderTest): void {
  for (const kind of ['thick', 'thin', 'two', 'file'] as const) {
    it(`shows the bytes of the moment, whatever the guest writes after it (${kind})`, async t => {
      const world = get()
      const { snapshots, run } = world
      if (!world.kinds.includes(kind)) return t.skip(`no ${kind} here`)
      const vm = await world.addVm(kind)
      for (const [index, { path }] of vm.volumes.entries())
        await world.write(path, OFFSET, pattern(index + 1))
      const plan = await snapshots.plan(requestFor(vm), run)
      assert.equal(await world.state(vm.id), 'running')
      const snapshot = await snapshots.take(plan, run)
      for (const { path } of vm.volumes) await world.write(path, OFFSET, pattern(99))
      assert.equal(await world.state(vm.id), 'running')
      assert.deepEqual(
        snapshot.sources.map(source => [source.volume.target, source.sizeBytes]),
        vm.volumes.map(volume => [volume.target, volume.sizeBytes]),
      )
      for (const [index, source] of snapshot.sources.entries()) {
        assert.ok((await readAt(source, OFFSET, 64 * KIB)).equals(pattern(index + 1)), source.path)
      }
      assert.equal(snapshot.consistency, 'paused')
      assert.ok(
        snapshot.pauseMs > 0 && snapshot.pauseMs < BUDGET_MS,
        `stood still for ${snapshot.pauseMs} ms`,
      )
      assert.ok((await left(world, plan)).length > 0)
      await snapshots.release(plan, undefined, run)
      await snapshots.release(plan, undefined, run)
      assert.deepEqual(await left(world, plan), [])
    })
  }
}

function states(get: () => SnapshotsUnderTest): void {
  it('a VM that is off is not started, and one that somebody paused stays paused', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('thick')
    for (const [act, state, consistency] of [
      ['pause', 'paused', 'paused'],
      ['stop', 'stopped', 'stopped'],
    ] as const) {
      await world.byHand(vm.id, act)
      const plan = await snapshots.plan(requestFor({ ...vm, state }), run)
      const snapshot = await snapshots.take(plan, run)
      assert.deepEqual([snapshot.consistency, snapshot.pauseMs], [consistency, 0])
      await snapshots.release(plan, undefined, run)
      assert.equal(await world.state(vm.id), state)
    }
  })

  it('a VM that may not stand for a moment does not', async () => {
    const { snapshots, run, addVm, state } = get()
    const vm = await addVm('thick')
    const plan = await snapshots.plan(requestFor(vm, { mode: 'crash' }), run)
    const snapshot = await snapshots.take(plan, run)
    assert.deepEqual([snapshot.consistency, snapshot.pauseMs], ['crash', 0])
    await snapshots.release(plan, undefined, run)
    assert.equal(await state(vm.id), 'running')
  })

  it('a guest without an agent that was to be frozen is paused, and it is told', async () => {
    const { snapshots, run, addVm, state } = get()
    const vm = await addVm('thick')
    const plan = await snapshots.plan(requestFor(vm, { mode: 'freeze' }), run)
    const snapshot = await snapshots.take(plan, run)
    assert.equal(snapshot.consistency, 'paused')
    assert.equal(await state(vm.id), 'running')
    await snapshots.release(plan, undefined, run)
  })
}

function bases(get: () => SnapshotsUnderTest): void {
  it('a thin snapshot that was published tells the next night what changed since', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('thin')
    await world.write(first(vm), OFFSET, pattern(1))
    const monday = await snapshots.plan(requestFor(vm), run)
    const [before] = (await snapshots.take(monday, run)).sources
    assert.equal(before?.changed, undefined)
    await snapshots.release(monday, '20261128T020512Z', run)
    const kept = await snapshots.leftovers(run)
    assert.deepEqual(
      kept.map(one => [one.backupId, one.base]),
      [[monday.backupId, true]],
    )

    await world.write(first(vm), OFFSET + MIB, pattern(2))
    const tuesday = await snapshots.plan(requestFor(vm), run)
    const [source] = (await snapshots.take(tuesday, run)).sources
    assert.ok(source?.changed !== undefined, 'nothing is known of what changed')
    const { basePoint, ranges } = source.changed
    assert.equal(basePoint, '20261128T020512Z')
    const covers = (at: number) => ranges.some(range => range.fromBytes <= at && at < range.toBytes)
    assert.ok(covers(OFFSET + MIB), 'what was written is not among what changed')
    assert.ok(!covers(OFFSET), 'what nobody touched is among what changed')
    assert.ok(ranges.every((range, index) => range.fromBytes >= (ranges[index - 1]?.toBytes ?? 0)))
    await snapshots.release(tuesday, '20261129T020512Z', run)
    const last = await snapshots.leftovers(run)
    assert.deepEqual(
      last.map(one => [one.backupId, one.base]),
      [[tuesday.backupId, true]],
    )
    for (const one of last) await snapshots.drop(one, run)
    assert.deepEqual(await snapshots.leftovers(run), [])
  })
}

function failures(get: () => SnapshotsUnderTest): void {
  it('a kernel that panics on snapshots is refused, unless it is forced', async () => {
    const { onBadKernel, run, addVm } = get()
    const vm = await addVm('thick')
    const snapshots = onBadKernel()
    const refused = await snapshots.plan(requestFor(vm), run).then(
      () => 'no error',
      error => errorCode(error),
    )
    assert.equal(refused, 'refused')
    await snapshots.plan(requestFor(vm, { force: true }), run)
  })

  it('when the pause budget runs out the guest runs, the backup fails, and nothing of it is left', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('two')
    const plan = await snapshots.plan(requestFor(vm, { pauseBudgetMs: 2500 }), run)
    const slow = await world.slowStorage()
    const taking = snapshots.take(plan, run).then(
      () => 'no error',
      error => errorCode(error),
    )
    await slow.end()
    assert.equal(await taking, 'timeout')
    assert.equal(await world.state(vm.id), 'running')
    assert.deepEqual(await left(world, plan), [])
  })

  it('killed in the middle: the guest runs by itself, and the plan alone removes what is left', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('two')
    const plan = await snapshots.plan(requestFor(vm), run)
    await world.takeAndDie(plan)
    // The timer counts from before the pause; the rest is what it takes to look.
    await until('the guest runs again', async () => (await world.state(vm.id)) === 'running', {
      limitMs: BUDGET_MS + 1500,
    })
    await snapshots.release(JSON.parse(JSON.stringify(plan)) as SnapshotPlan, undefined, run)
    assert.deepEqual(await left(world, plan), [])
    // The next run works.
    const next = await snapshots.plan(requestFor(vm), run)
    await snapshots.take(next, run)
    await snapshots.release(next, undefined, run)
  })

  it('killed in the middle, and released at once: the guest does not wait for the timer', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('two')
    const plan = await snapshots.plan(requestFor(vm, { pauseBudgetMs: 60_000 }), run)
    await world.takeAndDie(plan)
    await snapshots.release(plan, undefined, run)
    assert.equal(await world.state(vm.id), 'running')
    assert.deepEqual(await left(world, plan), [])
  })

  it('a snapshot about to overflow is dropped, and whoever reads it is told', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('thick')
    const plan = await snapshots.plan(requestFor(vm), run)
    await snapshots.take(plan, run)
    await world.flood(vm)
    await assert.rejects(snapshots.watch(plan, run, AbortSignal.timeout(60_000)), { code: 'unavailable' })
    assert.deepEqual(await left(world, plan), [])
    assert.equal(await world.state(vm.id), 'running')
    await snapshots.release(plan, undefined, run)
  })

  it('watching ends without an error when it is told to', async () => {
    const { snapshots, run, addVm } = get()
    const vm = await addVm('thick')
    const plan = await snapshots.plan(requestFor(vm), run)
    await snapshots.take(plan, run)
    await snapshots.watch(plan, run, AbortSignal.timeout(200))
    await snapshots.release(plan, undefined, run)
  })
}

function remains(get: () => SnapshotsUnderTest): void {
  it('leftovers are known by their tag, and dropped; what bears no tag of ours is never touched', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('two')
    const plan = await snapshots.plan(requestFor(vm), run)
    await snapshots.take(plan, run)
    const all = await snapshots.leftovers(run)
    assert.deepEqual(
      all.map(one => [one.backupId, one.base]),
      [
        [plan.backupId, false],
        [plan.backupId, false],
      ],
    )
    for (const one of all) {
      await snapshots.drop(one, run)
      await snapshots.drop(one, run)
    }
    assert.deepEqual(await snapshots.leftovers(run), [])
    const disk = { path: first(vm), backupId: plan.backupId, base: false }
    await assert.rejects(snapshots.drop(disk, run), { code: 'refused' })
    await snapshots.release(plan, undefined, run)
  })

  it('a plan that was never taken is released without a trace', async () => {
    const world = get()
    const { snapshots, run } = world
    const vm = await world.addVm('thick')
    const plan = await snapshots.plan(requestFor(vm), run)
    await snapshots.release(plan, undefined, run)
    assert.equal(await world.state(vm.id), 'running')
    assert.deepEqual(await left(world, plan), [])
  })
}
