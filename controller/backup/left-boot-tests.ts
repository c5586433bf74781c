import { isTestVm } from '../../shared/domain/ids.ts'
import type { Finding } from '../diagnosis/case.ts'
import { bladeFinding } from '../diagnosis/finding.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'

/**
 * VMs of boot tests that are there and of which no operation is under way: their agent lost its database, or could not
 * remove them. One that is only being removed is gone before the assert hold is over. Pure.
 */
export function leftBootTests(snapshot: FleetSnapshot, now: number): Finding[] {
  return snapshot.blades
    .filter(blade => blade.liveness === 'up')
    .flatMap(({ name, reservations }) =>
      reservations
        .filter(({ operation, vmName }) => operation === '' && isTestVm(vmName))
        .map(({ vmName }) => {
          const evidence = `${vmName} of a boot test is on ${name}, and no operation works on it`
          return bladeFinding(name, 'boot-test-left', 'info', vmName, { evidence, observedAt: now })
        }),
    )
}
