import type { VmState } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { OperationServices } from './services.ts'

/**
 * Is it proven that the VM does not execute here and cannot go on by itself? `crashed` is not: libvirt keeps such a
 * VM in memory where its configuration says so, and it can be reset into life.
 */
export function isOff(state: VmState | 'absent'): boolean {
  return state === 'stopped' || state === 'absent'
}

/** Polls until the VM is in that state. Each look is a process, so not faster than people notice. Throws `timeout`. */
export async function waitForState(
  services: Pick<OperationServices, 'hypervisor' | 'clock'>,
  vmId: string,
  wanted: VmState,
  limits: { timeoutMs: number; signal: AbortSignal },
): Promise<void> {
  const { hypervisor, clock } = services
  const endsAt = clock.now() + limits.timeoutMs
  for (;;) {
    const state = await hypervisor.state(vmId)
    if (state === wanted) return
    if (limits.signal.aborted)
      throw new LifeboatError('aborted', `stopped waiting for the VM to be ${wanted}`)
    if (clock.now() >= endsAt) {
      throw new LifeboatError('timeout', `the VM is ${state}, not ${wanted}, after ${limits.timeoutMs} ms`)
    }
    await clock.sleep(200, limits.signal)
  }
}
