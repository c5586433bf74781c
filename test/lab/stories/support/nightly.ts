import type { Lab } from '../../lab.ts'
import { CONTROLLER_TOML, NO_NIGHTS } from '../../settings.ts'
import { waitFor } from '../../wait.ts'

/** Sets the nightly hour to the next minute that the agents surely hear of before; the schedule does the rest. */
export async function scheduleNightly(lab: Lab): Promise<void> {
  const clock = await lab.mustExec('depot', ['date', '--date=90 seconds', '+%-M %-H'])
  await configure(lab, `${clock.trim()} * * *`)
}

/** No night comes by itself any more. */
export function scheduleNone(lab: Lab): Promise<void> {
  return configure(lab, NO_NIGHTS)
}

async function configure(lab: Lab, schedule: string): Promise<void> {
  const file = CONTROLLER_TOML.replace(NO_NIGHTS, schedule)
  await lab.mustExec('depot', ['tee', '/etc/lifeboat/controller.toml'], { input: file })
  await lab.mustExec('depot', ['systemctl', 'restart', 'lifeboat-controller'], { timeoutMs: 60_000 })
  await waitFor('answer of the controller', async () => (await lab.cli(['status'])).code === 0, 60_000)
}
