import { SECOND_MS } from '../../../shared/domain/units.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { checkBackupId } from './names.ts'

const LIMIT = { timeoutMs: 20 * SECOND_MS }

/** The units that let a guest go if nobody else does: the timer, and what it starts. */
function unitsOf(backupId: string) {
  const name = `lifeboat-let-go-${checkBackupId(backupId)}`
  return { name, all: [`${name}.timer`, `${name}.service`] }
}

/** `resume`: it was paused. `thaw`: it was to be frozen, and may have been paused when that failed. */
export type Release = 'resume' | 'thaw'

/**
 * Run as `sh -c LET_GO sh URI ID HOW`: a constant, whose data are its arguments and never part of a line. One virsh alone
 * would not do: it ends with 1 when the guest runs already and also when libvirt or the guest's agent does not answer. So
 * this ends well only when the guest was let go, or is not among those that stand (resume) or run (thaw). Resumed first,
 * because the agent of a guest that stands answers nobody. Neither `${` nor `$$`: systemd would put something in their place.
 */
export const LET_GO = `
virsh --connect "$1" resume "$2" || {
  standing=$(virsh --connect "$1" list --uuid --state-paused) || exit 1
  case "$standing" in *"$2"*) exit 1 ;; esac
}
[ "$3" = thaw ] || exit 0
virsh --connect "$1" domfsthaw "$2" || {
  running=$(virsh --connect "$1" list --uuid) || exit 1
  case "$running" in *"$2"*) exit 1 ;; esac
}
`

/**
 * Arms a timer of systemd that lets the guest go after the budget, whatever dies (rule 2). It counts from now, before the
 * guest is held, and tries again every second until the guest runs: there is no limit after which it gives up.
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
  // 60 s: a libvirt that hangs is asked anew; it waits for 30 s itself when another command holds the domain.
  const retry = ['Restart=on-failure', 'RestartSec=1s', 'StartLimitIntervalSec=0', 'TimeoutStartSec=60s']
  const properties = ['Type=oneshot', ...retry].map(property => `--property=${property}`)
  const argv = ['systemd-run', '--quiet', '--collect', `--unit=${unitsOf(backupId).name}`]
  const words = [`--description=Lifeboat: lets VM ${vmId} go`]
  await run.run([...argv, ...words, ...timer, ...properties, 'sh', '-c', LET_GO, 'sh', uri, vmId, how], LIMIT)
}

/** Is the timer still to strike, or has it struck and not succeeded yet? Then the guest may be held by this backup. */
export async function isArmed(backupId: string, run: CommandRunner): Promise<boolean> {
  const argv = ['systemctl', 'is-active', ...unitsOf(backupId).all]
  // 3: inactive, 4: no such unit. One line for each; between two tries the service is `activating` or, in passing, `failed`.
  const { stdout } = await run.run(argv, { ...LIMIT, okExitCodes: [0, 3, 4] })
  return stdout.split('\n').some(line => !['', 'inactive', 'unknown'].includes(line.trim()))
}

/** Only for a guest that was seen to run. Also ends a service that still tries. Idempotent. */
export async function disarmTimer(backupId: string, run: CommandRunner): Promise<void> {
  // 5: one of them is not loaded; the other one is stopped all the same.
  await run.run(['systemctl', 'stop', ...unitsOf(backupId).all], { ...LIMIT, okExitCodes: [0, 5] })
}
