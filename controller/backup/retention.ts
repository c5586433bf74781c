import type { RetentionPolicies, RetentionPolicy } from '../../proto/gen/lifeboat/v1/vault.ts'
import type { BackupConfig, Keep } from './settings.ts'

/** What the vaults shall keep: the default, and by id the VMs that have a setting of their own. Pure. */
export function retentionPolicies(
  config: BackupConfig,
  /** Every VM that has a name here: of the fleet, and of restore points whose VM is gone. */
  vms: readonly { readonly id: string; readonly name: string }[],
): RetentionPolicies {
  const byVmId: Record<string, RetentionPolicy> = {}
  for (const { id, name } of vms) {
    const own = config.vms.find(each => each.name === name)
    if (own === undefined || Object.keys(own.keep).length === 0) continue
    byVmId[id] = keepToWire({ ...config.keep, ...own.keep })
  }
  return { defaultPolicy: keepToWire(config.keep), byVmId }
}

export function keepToWire(keep: Keep): RetentionPolicy {
  return { keepLast: keep.last, keepDaily: keep.daily, keepWeekly: keep.weekly, keepMonthly: keep.monthly }
}
