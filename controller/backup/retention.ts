import type { RetentionPolicies, RetentionPolicy } from '../../proto/gen/lifeboat/v1/vault.ts'
import type { PointRecord } from '../store/points.ts'
import { isBySeenWriter } from './find-point.ts'
import type { BackupConfig, Keep } from './settings.ts'

interface Named {
  readonly id: string
  readonly name: string
}

export interface NamedForRetention extends Named {
  /** Only a blade says so where that VM never was, as far as this controller knows. */
  readonly isHearsay: boolean
}

/**
 * Every VM that has a name here, each once: those of the fleet, and those that only a vault still knows by their newest
 * restore point, of a blade where they were (`isBySeenWriter`) if there is one. Pure.
 */
export function namesForRetention(
  fleet: readonly Named[],
  points: readonly Pick<PointRecord, 'vmId' | 'vm' | 'blade' | 'at'>[],
  bladesOf: (vmId: string) => ReadonlySet<string>,
): NamedForRetention[] {
  const names = new Map<string, NamedForRetention>()
  const put = (id: string, name: string, isHearsay: boolean) => names.set(id, { id, name, isHearsay })
  const newest = (own: readonly Pick<PointRecord, 'vm' | 'at'>[]) => own.toSorted((a, b) => b.at - a.at)[0]
  for (const [vmId, own] of Map.groupBy(points, point => point.vmId)) {
    const blades = bladesOf(vmId)
    const seen = newest(own.filter(point => isBySeenWriter(point, () => blades)))
    put(vmId, (seen ?? newest(own))?.vm ?? '', seen === undefined)
  }
  for (const { id, name } of fleet) put(id, name, false)
  return [...names.values()]
}

/**
 * What the vaults shall keep: the default, and by id the VMs that have a setting of their own. A blade may name its restore
 * points for any VM: what is known by hearsay only keeps no less than the default. Pure.
 */
export function retentionPolicies(
  config: BackupConfig,
  vms: readonly NamedForRetention[],
): RetentionPolicies {
  const byVmId: Record<string, RetentionPolicy> = {}
  for (const { id, name, isHearsay } of vms) {
    const own = config.vms.find(each => each.name === name)
    if (own === undefined || Object.keys(own.keep).length === 0) continue
    const keep = { ...config.keep, ...own.keep }
    byVmId[id] = keepToWire(isHearsay ? atLeast(keep, config.keep) : keep)
  }
  return { defaultPolicy: keepToWire(config.keep), byVmId }
}

/** All zero means that none is ever dropped. */
function atLeast(keep: Keep, least: Keep): Keep {
  if (isUnlimited(keep) || isUnlimited(least)) return { last: 0, daily: 0, weekly: 0, monthly: 0 }
  return {
    last: Math.max(keep.last, least.last),
    daily: Math.max(keep.daily, least.daily),
    weekly: Math.max(keep.weekly, least.weekly),
    monthly: Math.max(keep.monthly, least.monthly),
  }
}

function isUnlimited({ last, daily, weekly, monthly }: Keep): boolean {
  return last + daily + weekly + monthly === 0
}

export function keepToWire(keep: Keep): RetentionPolicy {
  return { keepLast: keep.last, keepDaily: keep.daily, keepWeekly: keep.weekly, keepMonthly: keep.monthly }
}
