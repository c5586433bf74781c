import { errorCode } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { findLv, readReport } from '../../storage/lvm.ts'
import type { LogicalVolume, LvmReport } from '../../storage/lvm-text.ts'
import type { SnapshotPlan } from '../snapshots.ts'
import { keepLv, removeLv, resumeDevices, unmount } from './commands.ts'
import type { EngineParts } from './engine.ts'
import { ensureResumed, ensureThawed } from './guest.ts'
import { parseMountinfo } from './mountinfo-text.ts'
import { baseTag, readMarks } from './names.ts'
import { type OwnPlan, readOwn } from './own.ts'
import { mayKeepBase } from './room.ts'
import { disarmTimer, isArmed } from './timer.ts'

/** Undoes what a plan did, however far it came; see `Snapshots.release`. */
export async function releasePlan(
  parts: EngineParts,
  plan: SnapshotPlan,
  published: string | undefined,
  run: CommandRunner,
): Promise<void> {
  try {
    await freeGuest(parts, plan, false, run)
  } catch (error) {
    // Whoever has to look at the guest now need not hurry because of a snapshot that fills. What fails here too is tried again.
    if (published === undefined) await removeSnapshots(parts, plan, run).catch(() => undefined)
    throw error
  }
  if (published === undefined) await removeSnapshots(parts, plan, run)
  else await keepOrRemove(parts, plan, published, run)
}

/**
 * The guest runs, and so do its devices, or this throws. The devices come first, since what waits for them does not end, and
 * always: an LVM that was killed leaves them suspended without a timer to witness it, and also when the guest was not held.
 * `mayStand`: this process has tried to hold it, so that the timer's word is not needed.
 */
export async function freeGuest(
  parts: EngineParts,
  plan: SnapshotPlan,
  mayStand: boolean,
  run: CommandRunner,
): Promise<void> {
  const own = readOwn(plan)
  try {
    await resumeDevices(own.snapshots, run)
  } finally {
    await letGoIfHeld(parts, plan, own, mayStand, run)
  }
}

/**
 * The timer is the witness that this plan still holds the guest: it is armed before the guest is held, and stopped or done
 * only when it was let go.
 */
async function letGoIfHeld(
  { uri }: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  mayStand: boolean,
  run: CommandRunner,
): Promise<void> {
  if (plan.mode === 'crash' || !(mayStand || (await isArmed(plan.backupId, run)))) return
  const guest = { uri, vmId: plan.vmId }
  // Also one that was to be frozen, for that may have become a pause. Before the thaw: a guest that stands has no agent.
  await ensureResumed(guest, run)
  if (own.hold === 'freeze') await ensureThawed(guest, run)
  await disarmTimer(plan.backupId, run)
}

/** Removes what bears the tag of the plan and is no base. Idempotent. */
export async function removeSnapshots(
  parts: EngineParts,
  plan: SnapshotPlan,
  run: CommandRunner,
): Promise<void> {
  for (const lv of snapshotsOf(await readReport(run), plan)) await removeSnapshot(parts, lv, run)
}

function snapshotsOf(report: LvmReport, plan: SnapshotPlan): LogicalVolume[] {
  return report.volumes.filter(lv => {
    const marks = readMarks(lv.tags)
    return marks?.backupId === plan.backupId && marks.basePoint === undefined
  })
}

/** Unmounts and removes one LV of ours. */
export async function removeSnapshot(
  parts: EngineParts,
  lv: Pick<LogicalVolume, 'group' | 'name'>,
  run: CommandRunner,
): Promise<void> {
  const directory = parts.mountPoint(lv)
  const mounts = parseMountinfo(await parts.files.read('/proc/self/mountinfo'))
  if (mounts.some(mount => mount.directory === directory)) await unmount(directory, run)
  await removeLv(lv, run)
}

async function keepOrRemove(
  parts: EngineParts,
  plan: SnapshotPlan,
  point: string,
  run: CommandRunner,
): Promise<void> {
  const report = await readReport(run)
  const disks = readOwn(plan).snapshots.filter(lv => lv.kind === 'thin' && lv.fileSystem === null)
  for (const lv of snapshotsOf(report, plan)) {
    const isDisk = disks.some(disk => disk.group === lv.group && disk.name === lv.name)
    const pool = findLv(report, { group: lv.group, name: lv.pool })
    if (isDisk && pool !== undefined && mayKeepBase(pool)) await keepLv(lv, baseTag(point), run)
    else await removeSnapshot(parts, lv, run)
  }
  // The new one is marked before the old one goes: two bases after a crash are no harm, the newest counts.
  for (const disk of disks) {
    for (const lv of report.volumes) {
      const marks = readMarks(lv.tags)
      const isOlder = marks?.basePoint !== undefined && marks.basePoint !== point && marks.vmId === plan.vmId
      if (isOlder && lv.group === disk.group && lv.origin === disk.origin)
        await removeSnapshot(parts, lv, run)
    }
  }
}

/**
 * Removes the bases in a pool that fills: a quicker next night is worth less than the VMs of the pool. Tells whether there
 * were any.
 */
export async function dropBases(
  parts: EngineParts,
  report: LvmReport,
  pool: Pick<LogicalVolume, 'group' | 'name'>,
  run: CommandRunner,
): Promise<boolean> {
  const bases = report.volumes.filter(
    lv => lv.group === pool.group && lv.pool === pool.name && readMarks(lv.tags)?.basePoint !== undefined,
  )
  for (const lv of bases) await removeSnapshot(parts, lv, run)
  for (const { name } of bases) parts.log.info(`snapshot ${name}: base => dropped (pool ${pool.name} fills)`)
  return bases.length > 0
}

/** For a drop in the middle of reading: the reader holds the device, and `release` removes it when that has ended. */
export async function removeIfIdle(
  parts: EngineParts,
  plan: SnapshotPlan,
  run: CommandRunner,
): Promise<void> {
  await removeSnapshots(parts, plan, run).catch(error => {
    if (errorCode(error) !== 'command-failed') throw error
  })
}
