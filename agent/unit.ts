import { LifeboatError } from '../shared/errors.ts'
import type { CommandRunner } from '../shared/exec.ts'

/** Enables and starts a unit; one that runs is restarted, so that it uses a new identity. What was done, in words. */
export async function startUnit(unit: string, run: CommandRunner): Promise<string> {
  try {
    await run.run(['systemctl', 'daemon-reload'], { timeoutMs: 60_000 })
    await run.run(['systemctl', 'enable', unit], { timeoutMs: 60_000 })
    await run.run(['systemctl', 'restart', unit], { timeoutMs: 60_000 })
    return `${unit} is enabled and runs: journalctl -u ${unit}`
  } catch (error) {
    if (!(error instanceof LifeboatError) || error.code !== 'tool-missing') throw error
    return `there is no systemd here: start it with '${unit} run'`
  }
}
