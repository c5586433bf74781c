import type { Lab } from '../../lab.ts'

/**
 * Returns when libvirt on a blade is in the middle of sending a VM away: it has counted some of the data. Asked for on the
 * blade itself, since a move of the lab's small VMs takes no longer than two commands of the CLI.
 */
export async function waitForMigration(lab: Lab, from: string, vm: string, limitMs = 120_000): Promise<void> {
  const tries = Math.ceil(limitMs / 200)
  const script = `i=0; until virsh domjobinfo "$1" --rawstats 2>/dev/null | grep -q '^ *data_processed: [1-9]'; do i=$((i+1)); [ $i -lt ${tries} ] || exit 1; sleep 0.1; done`
  await lab.mustExec(from, ['sh', '-c', script, 'sh', vm], { timeoutMs: limitMs + 10_000 })
}
