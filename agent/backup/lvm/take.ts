import { stat } from 'node:fs/promises'
import { posix } from 'node:path'
import { formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { lvPath } from '../../storage/lvm-names.ts'
import type { Snapshot, SnapshotPlan, SnapshotSource } from '../snapshots.ts'
import {
  createRoom,
  joinWords,
  makeVisible,
  mount,
  resumeDevices,
  syncFileSystem,
  thinWords,
} from './commands.ts'
import { type Console, openConsole } from './console.ts'
import type { EngineParts } from './engine.ts'
import { askState, type GuestState, type Hold, holdGuest } from './guest.ts'
import { snapshotTags } from './names.ts'
import { type OwnPlan, type PlannedSnapshot, readOwn } from './own.ts'
import { letGoIfHeld, removeSnapshots } from './release.ts'
import { findChanged } from './thin-delta.ts'
import { armTimer, disarmTimer, type Release } from './timer.ts'

/** Of the budget, for letting the guest go. */
const RESERVE_SHARE = 0.1
const READY_LIMIT_MS = 60_000

interface Consoles {
  readonly virsh: Console
  readonly lvm: Console
}

/** Holds the guest for the moment of the snapshots; see `Snapshots.take`. */
export async function takeSnapshots(
  parts: EngineParts,
  plan: SnapshotPlan,
  run: CommandRunner,
): Promise<Snapshot> {
  const own = readOwn(plan)
  try {
    const moment = await withConsoles(parts, run, consoles => momentOf(parts, plan, own, consoles, run))
    for (const lv of own.snapshots) {
      await makeVisible(lv, run)
      await mount(lv, parts.mountPoint(lv), run)
    }
    return { ...moment, sources: await sourcesOf(parts, plan, own, run) }
  } catch (error) {
    await undo(parts, plan, own, run)
    throw error
  }
}

/**
 * The way back. Only now, when virsh and LVM have ended, nothing they were asked for can still come: a suspend that was late
 * is answered by the last resume.
 */
async function undo(parts: EngineParts, plan: SnapshotPlan, own: OwnPlan, run: CommandRunner): Promise<void> {
  try {
    // First, since lvremove waits for a device that stands still.
    await resumeDevices(own.snapshots, run)
    await letGoIfHeld(parts, plan, own, run)
    await removeSnapshots(parts, plan, run)
  } catch (error) {
    // What failed first is what is told; `release` tries this again, and the timer does not wait for it.
    parts.log.warn('what a failed snapshot has left could not be removed', {
      backup: plan.backupId,
      error: formatErrorChain(error),
    })
  }
}

/** Both are started at once, and both are closed: an LVM in the middle of its work is waited for, never killed. */
async function withConsoles<T>(
  { clock, uri }: EngineParts,
  run: CommandRunner,
  work: (consoles: Consoles) => Promise<T>,
): Promise<T> {
  const virsh = openConsole({ run, clock, argv: ['virsh', '--connect', uri], leave: 'quit' })
  const lvm = openConsole({ run, clock, argv: ['lvm'], leave: 'exit' })
  try {
    return await work({ virsh, lvm })
  } finally {
    await Promise.all([virsh.close(), lvm.close()])
  }
}

async function momentOf(
  parts: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  consoles: Consoles,
  run: CommandRunner,
): Promise<Omit<Snapshot, 'sources'>> {
  const guest = { uri: parts.uri, vmId: plan.vmId }
  const tags = snapshotTags(plan.backupId, plan.vmId)
  for (const lv of own.snapshots.filter(one => one.kind === 'thick')) await createRoom(lv, tags, run)
  for (const lv of own.snapshots) if (lv.fileSystem !== null) await syncFileSystem(lv.mountedOn, run)
  // Also makes LVM read its configuration and the disks once, which it remembers.
  const [group = ''] = own.snapshots.map(lv => lv.group)
  if (group !== '')
    await consoles.lvm.ask(['vgs', group], new RegExp(`^\\s*${quoted(group)}\\s`), READY_LIMIT_MS)
  const state = await askState(guest, consoles.virsh)
  checkStillOff(plan, own, state)
  // Also a VM that was off when the plan was made: what it wants is in the mode.
  const how = own.hold === 'none' && plan.mode !== 'crash' ? 'pause' : own.hold
  const holds = state === 'running' && how !== 'none'
  const { backupId, vmId, pauseBudgetMs: budgetMs } = plan
  const arm = (how: Release) => armTimer({ backupId, vmId, uri: parts.uri, how, budgetMs }, run)
  if (holds) await arm(how === 'freeze' ? 'domfsthaw' : 'resume')
  const rearm = async () => {
    await disarmTimer(backupId, run)
    await arm('resume')
  }
  const moment = await inTheMoment(parts, plan, own, { how, state, consoles, tags, run, rearm })
  if (holds) await disarmTimer(backupId, run)
  return moment
}

/** Files that no snapshot holds are read as they are: that is good only as long as their VM is off. */
function checkStillOff(plan: SnapshotPlan, own: OwnPlan, state: GuestState): void {
  if (state === 'stopped' || own.sources.every(source => source.snapshot >= 0)) return
  throw new LifeboatError('refused', `${plan.vmName} was started meanwhile, and has disks not on an LV`)
}

/** From here to the end the guest stands still: nothing but the snapshots themselves. */
async function inTheMoment(
  { uri, clock }: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  with_: {
    readonly how: OwnPlan['hold']
    readonly state: GuestState
    readonly consoles: Consoles
    readonly tags: readonly string[]
    readonly run: CommandRunner
    readonly rearm: () => Promise<void>
  },
): Promise<Omit<Snapshot, 'sources'>> {
  const { how, state, consoles, tags, run, rearm } = with_
  const startedAt = clock.now()
  const ownLimitMs = plan.pauseBudgetMs * (1 - RESERVE_SHARE)
  const left = () => Math.max(1, startedAt + ownLimitMs - clock.now())
  const hold = await holdGuest(how, state, {
    guest: { uri, vmId: plan.vmId },
    console: consoles.virsh,
    run,
    clock,
    left,
    rearm,
  })
  const at = clock.now()
  const isHeld = hold.consistency === 'paused' || hold.consistency === 'application'
  try {
    for (const lv of own.snapshots) await snapshot(lv, tags, consoles.lvm, isHeld ? left() : READY_LIMIT_MS)
  } catch (error) {
    await letGoAfterFailure(hold)
    throw describeFailure(plan, error)
  }
  const pauseMs = await hold.letGo()
  if (pauseMs > plan.pauseBudgetMs) {
    throw new LifeboatError('timeout', `${plan.vmName} stood still for ${pauseMs} ms, longer than its budget`)
  }
  return { at, consistency: hold.consistency, pauseMs }
}

async function snapshot(
  lv: PlannedSnapshot,
  tags: readonly string[],
  lvm: Console,
  limitMs: number,
): Promise<void> {
  if (lv.kind === 'thin') {
    await lvm.ask(thinWords(lv, tags), new RegExp(`"${quoted(lv.name)}" created\\.$`), limitMs)
    return
  }
  await lvm.ask(joinWords(lv), new RegExp(`${quoted(lv.name)} converted to snapshot\\.$`), limitMs)
}

const quoted = (text: string) => text.replace(/[.+]/g, '\\$&')

async function letGoAfterFailure(hold: Hold): Promise<void> {
  // The failure is told already; that the timer was quicker with the same is no second one.
  await hold.letGo().catch(() => undefined)
}

function describeFailure(plan: SnapshotPlan, cause: unknown): LifeboatError {
  const isTimeout = cause instanceof LifeboatError && cause.code === 'timeout'
  return isTimeout
    ? new LifeboatError('timeout', `the pause budget of ${plan.vmName} (${plan.pauseBudgetMs} ms) ran out`, {
        cause,
      })
    : new LifeboatError('command-failed', `failed to snapshot the volumes of ${plan.vmName}`, { cause })
}

async function sourcesOf(
  parts: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  run: CommandRunner,
): Promise<SnapshotSource[]> {
  const changed = await findChanged(parts, plan, own, run)
  const sources: SnapshotSource[] = []
  for (const { volume, snapshot: index, file } of own.sources) {
    const lv = own.snapshots[index]
    if (lv !== undefined && lv.fileSystem === null) {
      const path = lvPath(lv)
      sources.push({ volume, path, sizeBytes: lv.originBytes, changed: changed.get(lv.name) })
    } else {
      const path = lv === undefined ? file : posix.join(parts.mountPoint(lv), file)
      const { size } = await stat(path).catch(cause => {
        throw new LifeboatError('refused', `${file} is not in the snapshot of its file system`, { cause })
      })
      sources.push({ volume, path, sizeBytes: size, changed: undefined })
    }
  }
  return sources
}
