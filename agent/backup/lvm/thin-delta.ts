import { formatErrorChain } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { findLv, readReport } from '../../storage/lvm.ts'
import type { LogicalVolume, LvmReport } from '../../storage/lvm-text.ts'
import type { ChangedRanges, SnapshotPlan } from '../snapshots.ts'
import { runThinDelta } from './commands.ts'
import type { EngineParts } from './engine.ts'
import { mapperName, readMarks } from './names.ts'
import type { OwnPlan, PlannedSnapshot } from './own.ts'
import { holdsMetadataSnapshot, parseThinDelta } from './thin-delta-text.ts'

const LIMIT = { timeoutMs: 60_000 }

/**
 * By name of the snapshot, what changed since the base kept of an earlier night; nothing for one without a base. It is a
 * help and no more: whatever goes wrong with it is told in the log, and the whole volume is read.
 */
export async function findChanged(
  { log }: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  run: CommandRunner,
): Promise<Map<string, ChangedRanges>> {
  const found = new Map<string, ChangedRanges>()
  const disks = own.snapshots.filter(lv => lv.kind === 'thin' && lv.fileSystem === null)
  if (disks.length === 0) return found
  const report = await readReport(run)
  for (const lv of disks) {
    const now = findLv(report, lv)
    const base = newestBase(report, lv, plan.vmId)
    // A volume that was resized is another one for the restore point, too.
    if (now === undefined || base === undefined || base.lv.sizeBytes !== now.sizeBytes) continue
    try {
      const ranges = await withMetadataSnapshot(lv, run, async () => {
        const { stdout } = await runThinDelta(lv, [base.lv.thinId, now.thinId], run)
        return parseThinDelta(stdout, now.sizeBytes)
      })
      found.set(lv.name, { basePoint: base.point, ranges })
    } catch (error) {
      log.warn('what changed on a thin volume cannot be told: all of it is read', {
        volume: `/dev/${lv.group}/${lv.origin}`,
        error: formatErrorChain(error),
      })
    }
  }
  return found
}

function newestBase(
  report: LvmReport,
  { group, origin }: PlannedSnapshot,
  vmId: string,
): { readonly lv: LogicalVolume; readonly point: string } | undefined {
  return report.volumes
    .flatMap(lv => {
      const marks = readMarks(lv.tags)
      const isOurs = lv.group === group && lv.origin === origin && marks?.vmId === vmId
      return isOurs && marks?.basePoint !== undefined ? [{ lv, point: marks.basePoint }] : []
    })
    .sort((one, other) => (one.point < other.point ? 1 : -1))[0]
}

/**
 * The metadata of a pool in use change under a reader, hence its snapshot. A pool has room for one: what is there already
 * was left by a process of ours that was killed, and is given back first.
 */
async function withMetadataSnapshot<T>(
  { group, pool }: PlannedSnapshot,
  run: CommandRunner,
  work: () => Promise<T>,
): Promise<T> {
  const device = `${mapperName(group, pool)}-tpool`
  const tell = (message: string) => run.run(['dmsetup', 'message', device, '0', message], LIMIT)
  const { stdout } = await run.run(['dmsetup', 'status', device], LIMIT)
  if (holdsMetadataSnapshot(stdout)) await tell('release_metadata_snap')
  await tell('reserve_metadata_snap')
  try {
    return await work()
  } finally {
    await tell('release_metadata_snap')
  }
}
