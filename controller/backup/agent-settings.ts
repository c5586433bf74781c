import type { BackupSettings } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Tags } from '../store/tags.ts'
import { effectivePolicy } from './policy.ts'
import type { BackupConfig } from './settings.ts'

export interface SettingsSources {
  readonly config: BackupConfig
  /** Those of the blade. */
  readonly vms: readonly { readonly id: string; readonly name: string }[]
  /** By VM id. */
  readonly tags: ReadonlyMap<string, Tags>
  /** Where its restore points go; undefined: nowhere. */
  readonly vault: { readonly name: string; readonly address: string } | undefined
}

/** What an agent needs to back up by itself while the controller is away. Pure. */
export function agentSettings({ config, vms, tags, vault }: SettingsSources): BackupSettings {
  return {
    vault,
    schedule: config.schedule,
    jitterMs: config.jitterMs,
    mode: config.mode,
    pauseBudgetMs: config.pauseBudgetMs,
    rateLimitBytes: config.rateLimitBytes,
    vms: vms
      .map(({ id, name }) => {
        const policy = effectivePolicy({ vm: name, tags: tags.get(id) ?? {}, config, vaults: [] })
        return {
          vmId: id,
          mode: policy.mode === config.mode ? '' : policy.mode,
          schedule: policy.schedule === config.schedule ? '' : policy.schedule,
        }
      })
      .filter(each => each.mode !== '' || each.schedule !== '')
      // Always in one order: settings that say the same are not sent again.
      .sort((a, b) => (a.vmId < b.vmId ? -1 : 1)),
  }
}
