import type { Model } from '../../../../../controller/placement/solver/model.ts'

export interface ModelSketch {
  /** Room of each blade when it is empty, by dimension. */
  readonly blades: readonly (readonly number[])[]
  /** Blades that take nothing. Default none. */
  readonly closed?: readonly number[]
  readonly vms: readonly {
    readonly at: number
    readonly need: readonly number[]
    readonly priority?: number
  }[]
  /** Sets of VMs of which no two may share a blade. Default none. */
  readonly apart?: readonly (readonly number[])[]
}

/** A problem in a few numbers; the work of a move is the VM's first dimension. */
export function modelOf({ blades, closed = [], vms, apart = [] }: ModelSketch): Model {
  const dims = blades[0]?.length ?? 0
  const free = blades.flatMap((room, blade) =>
    room.map((amount, dim) =>
      vms.reduce((left, vm) => (vm.at === blade ? left - (vm.need[dim] ?? 0) : left), amount),
    ),
  )
  const need = Float64Array.from(vms.flatMap(vm => vm.need))
  return {
    bladeCount: blades.length,
    vmCount: vms.length,
    dims,
    free: Float64Array.from(free),
    need,
    gives: need.slice(),
    at: Int32Array.from(vms, vm => vm.at),
    open: Uint8Array.from(blades, (_, blade) => (closed.includes(blade) ? 0 : 1)),
    movable: new Uint8Array(vms.length).fill(1),
    work: Float64Array.from(vms, vm => vm.need[0] ?? 0),
    priority: Float64Array.from(vms, vm => vm.priority ?? 0),
    allows: () => true,
    apart: apart.map(() => ({
      domainOf: Int32Array.from(blades, (_, blade) => blade),
      domainCount: blades.length,
    })),
    apartOf: vms.map((_, vm) => apart.flatMap((set, index) => (set.includes(vm) ? [index] : []))),
    togetherOf: vms.map(() => []),
    together: [],
  }
}
