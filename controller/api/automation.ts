import { automationOf } from '../evacuation/automation.ts'
import type { AdminHandlers, ApiContext } from './context.ts'

/** The pause of all automatic action: who, why, since when. */
export function automationHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'getAutomation' | 'setAutomation'> {
  const { store, clock, config } = context
  return {
    getAutomation: () => ({ ...automationOf(store, config) }),
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
      return { ...automationOf(store, config) }
    },
  }
}
