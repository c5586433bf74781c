import type { Automation } from '../../proto/gen/lifeboat/v1/admin.ts'
import type { AdminHandlers, ApiContext } from './context.ts'

export function automationHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'getAutomation' | 'setAutomation'> {
  const { store, clock } = context
  return {
    getAutomation: () => automationView(context),
    setAutomation: ({ paused, reason }, caller) => {
      const before = store.settings.automation()
      // A second pause keeps who paused first and since when: somebody relies on it.
      if (before.paused !== paused || (paused && reason !== '' && reason !== before.reason)) {
        store.settings.setAutomation({ paused, reason, pausedBy: paused ? caller : '', since: clock.now() })
        const line = `automation ${paused ? 'paused' : 'resumed'} by ${caller}${reason === '' ? '' : `: ${reason}`}`
        context.log.info(line)
        store.stories.tell('fleet', '', clock.now(), line)
      }
      context.nudge()
      return automationView(context)
    },
  }
}

/** `automatic = false` in the configuration is a pause that only the configuration ends. */
export function automationView({ store, config }: ApiContext): Automation {
  const setting = store.settings.automation()
  if (config.evacuation.automatic || setting.paused) return { ...setting }
  return {
    paused: true,
    reason: 'automatic = false in the configuration',
    pausedBy: 'the configuration',
    since: 0,
  }
}
