import type { ControllerConfig } from '../config.ts'
import type { AutomationSetting } from '../store/settings.ts'
import type { Store } from '../store/store.ts'

/** May Lifeboat act by itself now? `automatic = false` is a pause that only the configuration ends. */
export function automationOf(store: Store, config: ControllerConfig): AutomationSetting {
  const setting = store.settings.automation()
  if (config.evacuation.automatic || setting.paused) return setting
  return {
    paused: true,
    reason: 'automatic = false in the configuration',
    pausedBy: 'the configuration',
    since: 0,
  }
}
