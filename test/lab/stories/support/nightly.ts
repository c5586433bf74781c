import type { Lab } from '../../lab.ts'
import { CONTROLLER_TOML, NO_NIGHTS } from '../../settings.ts'
import { configureController } from './configure.ts'

/** Sets the nightly hour to the next minute that the agents surely hear of before; the schedule does the rest. */
export async function scheduleNightly(lab: Lab): Promise<void> {
  const clock = await lab.mustExec('depot', ['date', '--date=90 seconds', '+%-M %-H'])
  await configure(lab, `${clock.trim()} * * *`)
}

/** No night comes by itself any more. */
export function scheduleNone(lab: Lab): Promise<void> {
  return configure(lab, NO_NIGHTS)
}

function configure(lab: Lab, schedule: string): Promise<void> {
  return configureController(lab, CONTROLLER_TOML.replace(NO_NIGHTS, schedule))
}
