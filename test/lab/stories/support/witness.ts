import type { Lab } from '../../lab.ts'

const FOLDER = '/run/lab-witness'

/** When a guest printed each line of its serial log, epoch ms by the blade's clock. */
export interface Witness {
  readonly guest: string
  readonly printedAt: readonly number[]
}

/**
 * Lets the blade note the moment of every line a guest prints from now on. Bash alone does it, without a process a line;
 * the log itself bears no times.
 */
export async function beginWitness(lab: Lab, blade: string, guest: string): Promise<void> {
  const script =
    'mkdir -p "$1"; tail -n0 -F "$2" 2>/dev/null | while IFS= read -r line; do echo "$EPOCHREALTIME"; done > "$1/$3"'
  const words = ['bash', '-c', script, 'bash', FOLDER, `/var/log/lab/${guest}.serial`, guest]
  await lab.mustExec(blade, ['systemd-run', '--quiet', '--collect', `--unit=lab-witness-${guest}`, ...words])
}

/** Ends it and returns what was noted. */
export async function endWitness(lab: Lab, blade: string, guest: string): Promise<Witness> {
  await lab.mustExec(blade, ['systemctl', 'stop', `lab-witness-${guest}`])
  const text = await lab.mustExec(blade, ['cat', `${FOLDER}/${guest}`])
  const printedAt = text
    .split('\n')
    .filter(Boolean)
    .map(line => Math.round(Number(line) * 1000))
  return { guest, printedAt }
}

/** The longest silence of the guest that touches the time from `fromMs` to `toMs`. */
export function longestSilence({ printedAt }: Witness, fromMs: number, toMs: number): number {
  let longest = 0
  for (const [i, at] of printedAt.entries()) {
    const before = printedAt[i - 1]
    if (before !== undefined && at >= fromMs && before <= toMs) longest = Math.max(longest, at - before)
  }
  return longest
}

/** The longest silence outside all of these times: what this slow and shared machine does to the guest by itself. */
export function ordinarySilence(
  witness: Witness,
  times: readonly { readonly fromMs: number; readonly toMs: number }[],
): number {
  const { printedAt } = witness
  let longest = 0
  for (const [i, at] of printedAt.entries()) {
    const before = printedAt[i - 1]
    if (before === undefined || times.some(({ fromMs, toMs }) => at >= fromMs && before <= toMs)) continue
    longest = Math.max(longest, at - before)
  }
  return longest
}
