import type { Lab } from '../../lab.ts'
import { waitFor } from '../../wait.ts'

/** Gives the controller another configuration, as a person does: the file, a restart, and it answers again. */
export async function configureController(lab: Lab, file: string): Promise<void> {
  await lab.mustExec('depot', ['tee', '/etc/lifeboat/controller.toml'], { input: file })
  await lab.mustExec('depot', ['systemctl', 'restart', 'lifeboat-controller'], { timeoutMs: 60_000 })
  await waitFor('answer of the controller', async () => (await lab.cli(['status'])).code === 0, 60_000)
}
