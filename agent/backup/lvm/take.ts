import { stat } from 'node:fs/promises'
import { posix } from 'node:path'
import { formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { lvPath } from '../../storage/lvm-names.ts'
import type { Snapshot, SnapshotPlan, SnapshotSource } from '../snapshots.ts'
import { createRoom, joinWords, makeVisible, mount, syncFileSystem, thinWords } from './commands.ts'
import { type Console, openConsole } from './console.ts'
import type { EngineParts } from './engine.ts'
import { askState, canFreeze, type GuestState, type Hold, holdGuest } from './guest.ts'
import { snapshotTags } from './names.ts'
import { type OwnPlan, type PlannedSnapshot, readOwn } from './own.ts'
import { freeGuest, removeSnapshots } from './release.ts'
import { findChanged } from './thin-delta.ts'
import { armTimer, disarmTimer } from './timer.ts'

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
  const hold = { mayStand: false }
  try {
    const moment = await withConsoles(parts, run, consoles => momentOf(parts, plan, own, hold, consoles, run))
    for (const lv of own.snapshots) {
      await makeVisible(lv, run)
      await mount(lv, parts.mountPoint(lv), run)
    }
    return { ...moment, sources: await sourcesOf(parts, plan, own, run) }
  } catch (error) {
    await undo(parts, plan, hold.mayStand, run)
    throw error
  }
}

/**
 * The way back. Only now, when virsh and LVM have ended, nothing they were asked for can still come: a suspend that was late
 * is answered by the last resume, also when the timer has struck before it. What failed first is what is told; `release`
 * tries all of this again, and the timer does not wait for it.
 */
async function undo(
  parts: EngineParts,
  plan: SnapshotPlan,
  mayStand: boolean,
  run: CommandRunner,
): Promise<void> {
  const tell = (what: string) => (error: unknown) =>
    parts.log.warn(what, { backup: plan.backupId, error: formatErrorChain(error) })
  await freeGuest(parts, plan, mayStand, run).catch(tell('a guest could not be let go for certain'))
  await removeSnapshots(parts, plan, run).catch(tell('what a failed snapshot has left could not be removed'))
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
  hold: { mayStand: boolean },
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
  const how = state === 'running' ? await howToHold(plan, own, () => canFreeze(guest, run)) : 'none'
  if (how === 'none') {
    const moment = await inTheMoment(parts, plan, own, { how, state, consoles, tags, run })
    return await unlessItMoved(plan, own, moment, state, () => askState(guest, consoles.virsh))
  }
  const { backupId, vmId, pauseBudgetMs: budgetMs } = plan
  const release = how === 'freeze' ? 'thaw' : 'resume'
  await armTimer({ backupId, vmId, uri: parts.uri, how: release, budgetMs }, run)
  hold.mayStand = true
  const moment = await inTheMoment(parts, plan, own, { how, state, consoles, tags, run })
  // virsh has said that it was let go: it needs no witness any more.
  hold.mayStand = false
  await disarmTimer(backupId, run)
  return moment
}

/** Asked again here: an agent that went away since the plan was made could be asked to freeze, and never to thaw. */
async function howToHold(
  plan: SnapshotPlan,
  own: OwnPlan,
  canFreeze: () => Promise<boolean>,
): Promise<OwnPlan['hold']> {
  // Also a VM that was off when the plan was made: what it wants is in the mode.
  if (own.hold === 'none') return plan.mode === 'crash' ? 'none' : 'pause'
  return own.hold === 'freeze' && !(await canFreeze()) ? 'pause' : own.hold
}

/** What was off, or stood by somebody's hand, may have been started while it was snapshotted: that is no such moment. */
async function unlessItMoved(
  plan: SnapshotPlan,
  own: OwnPlan,
  moment: Omit<Snapshot, 'sources'>,
  before: GuestState,
  askAgain: () => Promise<GuestState>,
): Promise<Omit<Snapshot, 'sources'>> {
  if (before === 'running') return moment
  const after = await askAgain()
  checkStillOff(plan, own, after)
  return after === before ? moment : { ...moment, consistency: 'crash' }
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
  },
): Promise<Omit<Snapshot, 'sources'>> {
  const { how, state, consoles, tags, run } = with_
  const startedAt = clock.now()
  const ownLimitMs = plan.pauseBudgetMs * (1 - RESERVE_SHARE)
  const left = () => startedAt + ownLimitMs - clock.now()
  const hold = await holdGuest(how, state, {
    guest: { uri, vmId: plan.vmId },
    console: consoles.virsh,
    run,
    clock,
    left,
  })
  const at = clock.now()
  const isHeld = hold.consistency === 'paused' || hold.consistency === 'application'
  try {
    for (const lv of own.snapshots)
      await snapshot(lv, tags, consoles.lvm, isHeld ? Math.max(1, left()) : READY_LIMIT_MS)
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
