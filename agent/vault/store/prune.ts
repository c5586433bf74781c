import { mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LifeboatError } from '../../../shared/errors.ts'
import type { PointRef } from '../format/point.ts'
import type { PointSummary } from '../vault.ts'
import type { StoreContext } from './context.ts'
import { edit } from './damage.ts'
import { fileError, syncDirectory } from './files.ts'
import { listPoints } from './listing.ts'
import { dropPoint } from './problems.ts'
import { decideByWriter, type RetentionPolicy, type RetentionVerdict } from './retention.ts'

export interface PruneOptions {
  readonly dryRun: boolean
  readonly vmId?: string
  /** Instead of the vault's policies. */
  readonly policy?: RetentionPolicy
}

export interface PruneVerdict extends RetentionVerdict, PointRef {
  readonly vm: string
  readonly at: number
}

/** What retention says of each restore point; with `dryRun` nothing is dropped. By VM, the newest first. */
export async function prune(context: StoreContext, options: PruneOptions): Promise<readonly PruneVerdict[]> {
  return await context.listing.run(async () => {
    const points = await listPoints(context.layout, context.records.problems.value(), options.vmId)
    const verdicts = [...Map.groupBy(points, point => point.vmId).values()].flatMap(ofVm =>
      judge(context, ofVm, options.policy),
    )
    if (options.dryRun) return verdicts
    for (const verdict of verdicts) {
      if (!verdict.keep) drop(context, verdict)
    }
    return verdicts
  })
}

function judge(
  context: StoreContext,
  points: readonly PointSummary[],
  given: RetentionPolicy | undefined,
): readonly PruneVerdict[] {
  const policies = context.records.retention.value()
  const policy = given ?? policies.byVmId[points[0]?.vmId ?? ''] ?? policies.byDefault
  const byPoint = new Map(points.map(point => [point.point, point]))
  const seen = points.map(point => ({
    point: point.point,
    blade: point.blade,
    readable: point.manifest !== undefined,
    whole: point.state === 'whole',
    verified: point.checkedAt > 0 || point.boot?.ok === true,
    inUse: context.whyInUse(point),
  }))
  return decideByWriter(seen, policy).flatMap(verdict => {
    const point = byPoint.get(verdict.point)
    return point === undefined ? [] : [{ ...verdict, vmId: point.vmId, vm: point.vm, at: point.at }]
  })
}

/** Off the list by one rename, then gone. Needs no room. Its chunks are collected later. */
function drop(context: StoreContext, verdict: PruneVerdict): void {
  const { layout } = context
  const aside = join(layout.tmp, `dropped-${verdict.vmId}-${verdict.point}`)
  try {
    mkdirSync(layout.tmp, { recursive: true })
    rmSync(aside, { recursive: true, force: true })
    renameSync(layout.point(verdict), aside)
    syncDirectory(layout.vm(verdict.vmId))
    rmSync(aside, { recursive: true, force: true })
  } catch (error) {
    throw new LifeboatError('unavailable', `cannot drop ${verdict.vm}@${verdict.point}`, {
      cause: fileError('its folder', error),
    })
  }
  context.log.info(`restore point ${verdict.vm}@${verdict.point} dropped`, {
    reasons: verdict.reasons.join(', '),
  })
  edit(context, problems => dropPoint(problems, verdict))
}
