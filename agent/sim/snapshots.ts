import { constants, copyFileSync, mkdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import type { Volume } from '../../shared/domain/fleet.ts'
import { KIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Snapshot, SnapshotPlan, SnapshotSource, Snapshots } from '../backup/snapshots.ts'
import type { Consistency } from '../vault/format/manifest.ts'
import type { SimDisks } from './disks.ts'
import type { SimSnapshotKnobs } from './snapshot-knobs.ts'
import { openSnapshotRecords, type SimSnapshotRecord, type SimSnapshotRecords } from './snapshot-records.ts'
import type { VmTable } from './vm-table.ts'

/** Granularity in which a simulated thin pool knows what changed. */
const BLOCK_BYTES = 64 * KIB
const WATCH_MS = 500

export interface SimSnapshotsOptions {
  readonly directory: string
  readonly table: VmTable
  readonly disks: SimDisks
  readonly clock: Clock
  readonly knobs: SimSnapshotKnobs
}

type Parts = SimSnapshotsOptions & {
  readonly records: SimSnapshotRecords
  /** Guests held, by backup: the timer that lets them go survives the agent, as that of systemd does. */
  readonly holds: Map<string, { readonly vmId: string; readonly over: AbortController }>
}

const announce = (run: CommandRunner, ...argv: string[]) => run.run(argv, { timeoutMs: 10_000 })

/** Snapshots of a simulated blade: copies of the small files behind its volumes. See `../backup/snapshots.ts`. */
export function createSimSnapshots(options: SimSnapshotsOptions): Snapshots {
  mkdirSync(options.directory, { recursive: true })
  const records = openSnapshotRecords(join(options.directory, 'snapshots.json'))
  const parts: Parts = { ...options, records, holds: new Map() }
  const { table, knobs } = options
  return {
    async plan(request) {
      const { backupId, vm, mode, pauseBudgetMs } = request
      table.get(vm.id)
      if (knobs.knownBadKernel && !request.force) {
        throw new LifeboatError('refused', 'the kernel sim-1 is known to panic on snapshots')
      }
      if (knobs.noRoom) throw new LifeboatError('refused', 'vg0 has 0 B free, the snapshots need 64 MiB')
      const own = { volumes: vm.volumes.map(volume => ({ ...volume })) }
      return { backupId, vmId: vm.id, vmName: vm.name, mode, pauseBudgetMs, own }
    },
    take: (plan, run) => take(parts, plan, run),
    async watch(plan, run, signal) {
      while (!signal.aborted) {
        if (knobs.overflow) {
          await removeOf(parts, plan.backupId, run)
          throw new LifeboatError('unavailable', `a snapshot of ${plan.vmName} was full and was dropped`)
        }
        await options.clock.sleep(WATCH_MS, signal)
      }
    },
    async release(plan, published, run) {
      letGo(parts, plan.backupId)
      const mine = records
        .all()
        .filter(record => record.backupId === plan.backupId && record.basePoint === '')
      for (const record of mine) {
        if (published !== undefined && isThin(plan, record)) await keepAsBase(parts, record, published, run)
        else await remove(parts, record.path, run)
      }
    },
    leftovers: async () =>
      records.all().map(({ path, backupId, basePoint }) => ({ path, backupId, base: basePoint !== '' })),
    async drop({ path }, run) {
      if (records.all().some(record => record.path === path)) await remove(parts, path, run)
      else if (table.all().some(vm => vm.definition.volumes.some(volume => volume.path === path))) {
        throw new LifeboatError('refused', `${path} is no snapshot of ours`)
      }
    },
  }
}

async function take(parts: Parts, plan: SnapshotPlan, run: CommandRunner): Promise<Snapshot> {
  const { table, clock, knobs } = parts
  const vm = table.get(plan.vmId)
  const holds = vm.state === 'running' && plan.mode !== 'crash'
  const startedAt = clock.now()
  try {
    if (holds) await hold(parts, plan, run)
    const word = holds ? await knobs.gate() : 'go'
    if (word === 'hang') {
      await clock.sleep(plan.pauseBudgetMs)
      throw new LifeboatError('timeout', `the pause budget of ${plan.vmName} ran out`)
    }
    for (const volume of volumesOf(plan)) await snapshotOne(parts, plan, volume, run)
  } catch (error) {
    letGo(parts, plan.backupId)
    await removeOf(parts, plan.backupId, run)
    throw error
  }
  let pauseMs = 0
  if (holds) {
    if (!parts.holds.has(plan.backupId)) {
      await removeOf(parts, plan.backupId, run)
      throw new LifeboatError('timeout', `${plan.vmName} was let go after ${plan.pauseBudgetMs} ms`)
    }
    await announce(run, 'sim-virsh', 'resume', plan.vmName)
    letGo(parts, plan.backupId)
    pauseMs = clock.now() - startedAt
  }
  const sources: SnapshotSource[] = []
  for (const volume of volumesOf(plan)) sources.push(await sourceOf(parts, plan, volume))
  return {
    at: startedAt,
    consistency: consistencyOf(vm.state, plan.mode, knobs.guestAgent),
    pauseMs,
    sources,
  }
}

function consistencyOf(state: string, mode: SnapshotPlan['mode'], guestAgent: boolean): Consistency {
  if (state === 'stopped') return 'stopped'
  if (state === 'paused') return 'paused'
  if (mode === 'crash') return 'crash'
  return mode === 'freeze' && guestAgent ? 'application' : 'paused'
}

async function hold(parts: Parts, plan: SnapshotPlan, run: CommandRunner): Promise<void> {
  const { table, clock, holds } = parts
  const over = new AbortController()
  holds.set(plan.backupId, { vmId: plan.vmId, over })
  void clock.sleep(plan.pauseBudgetMs, over.signal).then(() => {
    if (!over.signal.aborted) letGo(parts, plan.backupId)
  })
  await announce(run, 'sim-virsh', 'suspend', plan.vmName)
  table.halt(plan.vmId, 'paused')
}

function letGo({ holds, table }: Parts, backupId: string): void {
  const held = holds.get(backupId)
  if (held === undefined) return
  holds.delete(backupId)
  held.over.abort()
  if (table.find(held.vmId)?.state === 'paused') table.thaw(held.vmId)
}

async function snapshotOne(
  parts: Parts,
  plan: SnapshotPlan,
  { target, path }: Volume,
  run: CommandRunner,
): Promise<void> {
  const file = join(parts.directory, `${plan.backupId}-${target}`)
  await announce(run, 'sim-lvcreate', '--snapshot', path)
  parts.records.put({ path: file, backupId: plan.backupId, vmId: plan.vmId, target, basePoint: '' })
  copyFileSync(parts.disks.hostPath(path), file, constants.COPYFILE_FICLONE)
}

async function sourceOf(parts: Parts, plan: SnapshotPlan, volume: Volume): Promise<SnapshotSource> {
  const { target, sizeBytes } = volume
  const path = join(parts.directory, `${plan.backupId}-${target}`)
  const base = baseOf(parts, plan.vmId, target)
  const changed =
    base === undefined
      ? undefined
      : { basePoint: base.basePoint, ranges: await differences(base.path, path, sizeBytes) }
  return { volume, path, sizeBytes, changed }
}

const volumesOf = (plan: SnapshotPlan) => (plan.own as unknown as { volumes: readonly Volume[] }).volumes

const baseOf = ({ records }: Parts, vmId: string, target: string) =>
  records.all().find(record => record.vmId === vmId && record.target === target && record.basePoint !== '')

function isThin(plan: SnapshotPlan, { target }: SimSnapshotRecord): boolean {
  return volumesOf(plan).find(volume => volume.target === target)?.storage === 'thin'
}

async function keepAsBase(
  parts: Parts,
  record: SimSnapshotRecord,
  point: string,
  run: CommandRunner,
): Promise<void> {
  const old = baseOf(parts, record.vmId, record.target)
  if (old !== undefined) await remove(parts, old.path, run)
  await announce(run, 'sim-lvchange', '--addtag', `lifeboat.base.${point}`, record.path)
  parts.records.put({ ...record, basePoint: point })
}

async function removeOf(parts: Parts, backupId: string, run: CommandRunner): Promise<void> {
  for (const { path, basePoint, backupId: owner } of parts.records.all()) {
    if (owner === backupId && basePoint === '') await remove(parts, path, run)
  }
}

async function remove({ records }: Parts, path: string, run: CommandRunner): Promise<void> {
  await announce(run, 'sim-lvremove', '--yes', path)
  rmSync(path, { force: true })
  records.remove(path)
}

/** Blocks in which two files differ, joined to ranges. */
async function differences(one: string, other: string, sizeBytes: number) {
  const [first, second] = [await open(one, 'r'), await open(other, 'r')]
  const ranges: { fromBytes: number; toBytes: number }[] = []
  try {
    for (let at = 0; at < sizeBytes; at += BLOCK_BYTES) {
      const [a, b] = [Buffer.alloc(BLOCK_BYTES), Buffer.alloc(BLOCK_BYTES)]
      await first.read(a, 0, BLOCK_BYTES, at)
      await second.read(b, 0, BLOCK_BYTES, at)
      if (a.equals(b)) continue
      const last = ranges.at(-1)
      const toBytes = Math.min(sizeBytes, at + BLOCK_BYTES)
      if (last?.toBytes === at) last.toBytes = toBytes
      else ranges.push({ fromBytes: at, toBytes })
    }
  } finally {
    await first.close()
    await second.close()
  }
  return ranges
}
