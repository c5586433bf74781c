import { errorCode } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { SnapshotPlan } from '../snapshots.ts'
import { keepLv, readReport, removeLv, resumeDevices, unmount } from './commands.ts'
import type { EngineParts } from './engine.ts'
import { forceGo } from './guest.ts'
import { parseMountinfo } from './mountinfo-text.ts'
import { baseTag, readMarks } from './names.ts'
import { type OwnPlan, readOwn } from './own.ts'
import type { SnapshotLv, SnapshotReport } from './report-text.ts'
import { mayKeepBase } from './room.ts'
import { disarmTimer, isArmed } from './timer.ts'

/** Undoes what a plan did, however far it came; see `Snapshots.release`. */
export async function releasePlan(
  parts: EngineParts,
  plan: SnapshotPlan,
  published: string | undefined,
  run: CommandRunner,
): Promise<void> {
  const own = readOwn(plan)
  await letGoIfHeld(parts, plan, own, run)
  if (published === undefined) await removeSnapshots(parts, plan, run)
  else await keepOrRemove(parts, plan, published, run)
}

/**
 * Lets a guest go that this plan still holds. The timer is the witness: it is armed before the guest is held, and stopped
 * only after it was let go.
 */
export async function letGoIfHeld(
  parts: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  run: CommandRunner,
): Promise<void> {
  if (plan.mode === 'crash' || !(await isArmed(plan.backupId, run))) return
  await resumeDevices(own.snapshots, run)
  const guest = { uri: parts.uri, vmId: plan.vmId }
  if (own.hold === 'freeze') await forceGo(guest, 'domfsthaw', run)
  // Also after a freeze: one that failed became a pause.
  await forceGo(guest, 'resume', run)
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

function snapshotsOf(report: SnapshotReport, plan: SnapshotPlan): SnapshotLv[] {
  return report.volumes.filter(lv => {
    const marks = readMarks(lv.tags)
    return marks?.backupId === plan.backupId && marks.basePoint === undefined
  })
}

/** Unmounts and removes one LV of ours. */
export async function removeSnapshot(
  parts: EngineParts,
  lv: Pick<SnapshotLv, 'group' | 'name'>,
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
    const pool = report.volumes.find(volume => volume.group === lv.group && volume.name === lv.pool)
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
  report: SnapshotReport,
  pool: Pick<SnapshotLv, 'group' | 'name'>,
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
