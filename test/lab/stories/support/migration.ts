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

/** Where the ballast of a slow VM begins on its volume: behind all that a guest writes. */
const BALLAST_FROM_MIB = 16

/**
 * Makes a move of a running VM take long enough to be caught in the middle, on any machine: bytes that cannot be left out
 * as zeroes, and a speed limit of libvirt's own.
 */
export async function slowDown(
  lab: Lab,
  from: string,
  vm: { name: string; path: string; sizeMiB: number },
  limitMiBs: number,
): Promise<void> {
  const ballast = ['dd', 'if=/dev/urandom', `of=${vm.path}`, 'bs=1M', 'conv=notrunc,fsync', 'status=none']
  const size = [`seek=${BALLAST_FROM_MIB}`, `count=${vm.sizeMiB - BALLAST_FROM_MIB}`]
  await lab.mustExec(from, [...ballast, ...size], { timeoutMs: 60_000 })
  await limitSpeed(lab, from, vm.name, limitMiBs)
}

/** libvirt keeps the limit as long as the VM runs here, also when a migration was cancelled. */
export async function limitSpeed(lab: Lab, from: string, vm: string, limitMiBs: number): Promise<void> {
  await lab.mustExec(from, ['virsh', 'migrate-setspeed', vm, String(limitMiBs)])
}
