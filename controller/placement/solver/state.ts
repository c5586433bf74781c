import { type Model, NOWHERE } from './model.ts'

/** Where the VMs are in the course of a search. Mutable, and every change has its inverse. */
export interface State {
  readonly model: Model
  readonly free: Float64Array
  readonly at: Int32Array
  /** 1: takes newcomers. At first as the model says; a question about the loss of a blade closes it. */
  readonly open: Uint8Array
  /** The dimensions in which room may run out at all: the only ones worth a look. */
  readonly scarce: Int32Array
  /** Takes the VM off its blade: its room is given back. */
  lift(vm: number): void
  /** Back to where it was lifted from, whether it fits or not. */
  unlift(vm: number, blade: number): void
  /** Puts a lifted VM onto a blade. */
  put(vm: number, blade: number): void
  /** The inverse of `put`. */
  unput(vm: number, blade: number): void
  /** Whether a lifted VM may go there now. Never back to where it was: that is no move. */
  fits(vm: number, blade: number): boolean
  /** The same, but for VMs that belong together: they move one by one, and are apart until the last has arrived. */
  fitsForNow(vm: number, blade: number): boolean
}

/**
 * A state of its own over the model, everything where the model says. `origin`: the blade that each VM may not move to;
 * by default the one where it is. Who asks what would be after the moves lets VMs come back there.
 */
export function createState(model: Model, origin: Int32Array = model.at): State {
  const { dims, need, gives, apart, apartOf, togetherOf, together } = model
  const free = model.free.slice()
  const at = model.at.slice()
  const open = model.open.slice()
  const scarce = scarceDims(model)
  const counts = apart.map(set => new Int32Array(set.domainCount))

  const count = (vm: number, blade: number, change: number) => {
    for (const set of apartOf[vm] as readonly number[]) {
      const domain = (apart[set] as (typeof apart)[number]).domainOf[blade] as number
      const row = counts[set] as Int32Array
      row[domain] = (row[domain] as number) + change
    }
  }
  for (let vm = 0; vm < model.vmCount; vm++) {
    const blade = at[vm] as number
    if (blade !== NOWHERE) count(vm, blade, 1)
  }
  const shift = (from: Float64Array, vm: number, blade: number, sign: number) => {
    const row = blade * dims
    const own = vm * dims
    for (let dim = 0; dim < dims; dim++)
      free[row + dim] = (free[row + dim] as number) + sign * (from[own + dim] as number)
    count(vm, blade, -sign)
  }
  const keepsApart = (vm: number, blade: number) => {
    for (const set of apartOf[vm] as readonly number[]) {
      const domain = (apart[set] as (typeof apart)[number]).domainOf[blade] as number
      if (((counts[set] as Int32Array)[domain] as number) > 0) return false
    }
    return true
  }
  /** With one of each of its sets, or with none of it anywhere: a set on several blades is joined on any of them. */
  const staysTogether = (vm: number, blade: number) => {
    for (const set of togetherOf[vm] as readonly number[]) {
      let apartFromAll = false
      for (const other of together[set] as readonly number[]) {
        const where = at[other] as number
        if (other === vm || where === NOWHERE) continue
        apartFromAll = where !== blade
        if (!apartFromAll) break
      }
      if (apartFromAll) return false
    }
    return true
  }
  const fitsForNow = (vm: number, blade: number) => {
    if (open[blade] === 0 || blade === origin[vm]) return false
    const row = blade * dims
    const own = vm * dims
    for (let index = 0; index < scarce.length; index++) {
      const dim = scarce[index] as number
      const wanted = need[own + dim] as number
      if (wanted > (free[row + dim] as number) && wanted > 0) return false
    }
    if ((apartOf[vm] as readonly number[]).length > 0 && !keepsApart(vm, blade)) return false
    return model.allows(vm, blade)
  }
  return {
    model,
    free,
    at,
    open,
    scarce,
    lift: vm => {
      shift(gives, vm, at[vm] as number, 1)
      at[vm] = NOWHERE
    },
    unlift: (vm, blade) => {
      shift(gives, vm, blade, -1)
      at[vm] = blade
    },
    put: (vm, blade) => {
      shift(need, vm, blade, -1)
      at[vm] = blade
    },
    unput: (vm, blade) => {
      shift(need, vm, blade, 1)
      at[vm] = NOWHERE
    },
    fits: (vm, blade) =>
      fitsForNow(vm, blade) &&
      ((togetherOf[vm] as readonly number[]).length === 0 || staysTogether(vm, blade)),
    fitsForNow,
  }
}

/** Those that take newcomers as the state is now, ascending. */
export function openBlades({ open }: State): number[] {
  const blades: number[] = []
  for (const [blade, takes] of open.entries()) if (takes === 1) blades.push(blade)
  return blades
}

/** Who is where as the state is now; ascending. */
export function vmsByBlade({ model, at }: State): ReadonlyMap<number, readonly number[]> {
  const byBlade = new Map<number, number[]>()
  for (let vm = 0; vm < model.vmCount; vm++) {
    const blade = at[vm] as number
    if (blade === NOWHERE) continue
    const there = byBlade.get(blade)
    if (there === undefined) byBlade.set(blade, [vm])
    else there.push(vm)
  }
  return byBlade
}

/** Where a blade has less room left than all VMs of the fleet want together. */
function scarceDims({ dims, need, free, vmCount, bladeCount }: Model): Int32Array {
  const scarce: number[] = []
  for (let dim = 0; dim < dims; dim++) {
    let wanted = 0
    for (let vm = 0; vm < vmCount; vm++) wanted += need[vm * dims + dim] as number
    let least = Number.POSITIVE_INFINITY
    for (let blade = 0; blade < bladeCount; blade++)
      least = Math.min(least, free[blade * dims + dim] as number)
    if (wanted > 0 && least < wanted) scarce.push(dim)
  }
  return Int32Array.from(scarce)
}
