import { formatBytes, SECOND_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { findLv, readReport } from '../../storage/lvm.ts'
import { isInvalid, type LvmReport } from '../../storage/lvm-text.ts'
import type { SnapshotPlan } from '../snapshots.ts'
import { extendLv } from './commands.ts'
import type { EngineParts } from './engine.ts'
import { readState } from './guest.ts'
import { type OwnPlan, type PlannedSnapshot, readOwn } from './own.ts'
import { dropBases, removeIfIdle } from './release.ts'
import { judgePool, judgeThick } from './room.ts'

const LOOK_MS = 5 * SECOND_MS

/** See `Snapshots.watch`. */
export async function watchSnapshots(
  parts: EngineParts,
  plan: SnapshotPlan,
  run: CommandRunner,
  signal: AbortSignal,
): Promise<void> {
  const own = readOwn(plan)
  while (!signal.aborted) {
    const trouble = await look(parts, plan, own, run)
    if (trouble !== undefined) {
      await removeIfIdle(parts, plan, run)
      throw new LifeboatError('unavailable', `the backup of ${plan.vmName} lost its snapshot: ${trouble}`)
    }
    await parts.clock.sleep(LOOK_MS, signal)
  }
}

/** What is wrong; undefined when all is well, also after a snapshot was extended. */
async function look(
  parts: EngineParts,
  plan: SnapshotPlan,
  own: OwnPlan,
  run: CommandRunner,
): Promise<string | undefined> {
  if (own.sources.some(source => source.snapshot < 0)) {
    const state = await readState({ uri: parts.uri, vmId: plan.vmId }, run)
    if (state !== 'stopped') return 'the VM was started, and has disks that no snapshot holds'
  }
  const report = await readReport(run)
  for (const lv of own.snapshots) {
    const look = lv.kind === 'thin' ? lookAtPool : lookAtThick
    const trouble = await look(parts, report, lv, run)
    if (trouble !== undefined) return trouble
  }
  return undefined
}

async function lookAtPool(
  parts: EngineParts,
  report: LvmReport,
  lv: PlannedSnapshot,
  run: CommandRunner,
): Promise<string | undefined> {
  const pool = findLv(report, { group: lv.group, name: lv.pool })
  if (pool === undefined || judgePool(pool) !== 'drop') return undefined
  // What was kept of other nights goes first; whether that was enough is seen at the next look.
  if (await dropBases(parts, report, pool, run)) return undefined
  return `thin pool ${lv.group}/${lv.pool} is full to ${pool.dataPercent} % (data), ${pool.metadataPercent} % (metadata)`
}

async function lookAtThick(
  { log }: EngineParts,
  report: LvmReport,
  lv: PlannedSnapshot,
  run: CommandRunner,
): Promise<string | undefined> {
  const now = findLv(report, lv)
  if (now === undefined) return `somebody removed /dev/${lv.group}/${lv.name}`
  const group = report.groups.find(candidate => candidate.name === lv.group)
  const step = Math.min(now.sizeBytes, group?.freeBytes ?? 0)
  const fill = judgeThick(now.dataPercent, isInvalid(now), step > 0)
  if (fill === 'well') return undefined
  if (fill === 'drop')
    return `/dev/${lv.group}/${lv.name} was full to ${now.dataPercent} % and could not grow`
  log.info(`snapshot ${lv.name}: extended by ${formatBytes(step)}, it was full to ${now.dataPercent} %`)
  await extendLv(lv, step, run)
  return undefined
}
