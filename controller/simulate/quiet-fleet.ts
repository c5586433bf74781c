import type { BladeView, VmView } from '../fleet/snapshot.ts'

/** When a simulation begins unless its file says otherwise. A fixed time: the same file always gives the same answer. */
export const START = Date.UTC(2000, 0, 1)

/** A blade of which nothing bad is known, and no capacity yet. */
export function quietBlade(name: string, maxVms: number): BladeView {
  return {
    name,
    admin: 'in-service',
    health: 'healthy',
    liveness: 'up',
    healthReasons: [],
    chassis: '',
    slot: 0,
    feeds: [],
    switches: [],
    maxVms,
    lastReportAt: START,
    capacity: undefined,
    facts: [],
    peerAddress: '',
    reservations: [],
  }
}

type Known = Pick<VmView, 'name' | 'blade' | 'state' | 'memoryBytes' | 'vcpus' | 'volumes' | 'networks'>

/** A VM that nothing keeps where it is. Its name is its id: names differ in a file. */
export function quietVm({ name, blade, state, memoryBytes, vcpus, volumes, networks }: Known): VmView {
  return {
    id: name,
    name,
    blade,
    state,
    memoryBytes,
    vcpus,
    volumes,
    networks,
    obstacles: [],
    epoch: 1,
    machine: '',
    cpuModel: '',
    persistent: true,
    operation: '',
    seenAt: START,
  }
}

/** For lists in which no name is there twice. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1
}
