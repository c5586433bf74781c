import { SECOND_MS } from '../../../shared/domain/units.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { checkBackupId } from './names.ts'

const LIMIT = { timeoutMs: 20 * SECOND_MS }

/** The unit that lets a guest go if nobody else does. */
const unitOf = (backupId: string) => `lifeboat-let-go-${checkBackupId(backupId)}`

export type Release = 'resume' | 'domfsthaw'

/**
 * Arms a timer of systemd that lets the guest go after the budget, whatever dies (rule 2). It counts from now, before the
 * guest is held, and tries again when libvirt does not answer at that moment; on a guest that runs it does nothing.
 */
export async function armTimer(
  options: {
    readonly backupId: string
    readonly vmId: string
    readonly uri: string
    readonly how: Release
    readonly budgetMs: number
  },
  run: CommandRunner,
): Promise<void> {
  const { backupId, vmId, uri, how, budgetMs } = options
  const timer = [`--on-active=${budgetMs}ms`, '--timer-property=AccuracySec=100ms']
  const retry = ['Type=oneshot', 'Restart=on-failure', 'RestartSec=1s', 'StartLimitIntervalSec=120']
  const properties = [...retry, 'StartLimitBurst=8'].map(property => `--property=${property}`)
  const argv = ['systemd-run', '--quiet', '--collect', `--unit=${unitOf(backupId)}`, ...timer, ...properties]
  await run.run([...argv, 'virsh', '--connect', uri, how, vmId], LIMIT)
}

/** Is the timer still to strike? Then the guest may be held by this backup. */
export async function isArmed(backupId: string, run: CommandRunner): Promise<boolean> {
  const argv = ['systemctl', 'is-active', `${unitOf(backupId)}.timer`]
  // 3: inactive, 4: no such unit
  const { stdout } = await run.run(argv, { ...LIMIT, okExitCodes: [0, 3, 4] })
  return stdout.trim() === 'active'
}

/** Idempotent. */
export async function disarmTimer(backupId: string, run: CommandRunner): Promise<void> {
  // 5: not loaded
  await run.run(['systemctl', 'stop', `${unitOf(backupId)}.timer`], { ...LIMIT, okExitCodes: [0, 5] })
}
