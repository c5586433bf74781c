import type { State } from './state.ts'

const UNKNOWN = 0
const PLAIN = 1
const SPECIAL = 2

/** Tells situations of a search apart, whichever of two blades that are alike has which room. */
export interface Signature {
  /** Before a search over these VMs, all of them lifted. */
  begin(items: readonly number[]): void
  /** A number of 53 bits: which VMs are left, and how much room there is. */
  of(pending: Int32Array, count: number): number
  /** The same room, and nothing that makes one of them special. */
  alike(one: number, other: number): boolean
}

/**
 * A blade is special when a VM of the search may not go everywhere (a pin, a network, a rule of groups), or when one
 * came from it: whether a move has to wait is another question there.
 */
export function createSignature(state: State, blades: Int32Array): Signature {
  const { model, free, scarce } = state
  const { dims } = model
  const special = new Uint8Array(model.bladeCount)
  const known = new Uint8Array(model.vmCount)
  const isPlain = (vm: number): boolean => {
    if (known[vm] === UNKNOWN) known[vm] = goesAnywhere(vm) ? PLAIN : SPECIAL
    return known[vm] === PLAIN
  }
  const isBound = (vm: number) =>
    (model.apartOf[vm] as readonly number[]).length > 0 ||
    (model.togetherOf[vm] as readonly number[]).length > 0
  const goesAnywhere = (vm: number) => !isBound(vm) && blades.every(blade => model.allows(vm, blade))
  const halves = new Uint32Array(2)
  const whole = new Float64Array(halves.buffer)
  /** Of the search, those that rules of groups bind: where they are matters beside the room they take. */
  let bound: readonly number[] = []
  const mix = (value: number, seed: number) => {
    whole[0] = value
    // Sums of these tell sets apart, so each bit has to reach all others: else 4 and 7 would be the same as 5 and 6.
    let bits = Math.imul((halves[0] as number) ^ seed, 0x9e3779b1)
    bits = Math.imul(bits ^ (bits >>> 15) ^ (halves[1] as number), 0x85ebca6b)
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
    return bits ^ (bits >>> 16)
  }
  return {
    begin: items => {
      special.fill(items.every(isPlain) ? 0 : 1)
      for (const vm of items) if ((model.at[vm] as number) >= 0) special[model.at[vm] as number] = 1
      bound = items.filter(isBound)
    },
    of: (pending, count) => {
      let a = 0
      let b = 0
      for (const blade of blades) {
        let one = special[blade] === 1 ? blade + 1 : 0x2f6b
        let two = one ^ 0x71d3
        for (const dim of scarce) {
          const room = free[blade * dims + dim] as number
          one = mix(room, one + dim)
          two = mix(room, two ^ 0x5bd1e995)
        }
        a = (a + one) | 0
        b = (b + two) | 0
      }
      for (let index = 0; index < count; index++) {
        const vm = (pending[index] as number) + 1
        a = (a + mix(vm, 0x2545f491)) | 0
        b = (b + mix(vm, 0x6c8e9cf5)) | 0
      }
      for (const vm of bound) {
        const place = (state.at[vm] as number) * model.vmCount + vm
        a = (a + mix(place, 0x165667b1)) | 0
        b = (b + mix(place, 0x27d4eb2f)) | 0
      }
      return (a >>> 0) * 0x200000 + ((b >>> 0) & 0x1fffff)
    },
    alike: (one, other) => {
      if (special[one] === 1 || special[other] === 1) return false
      for (const dim of scarce) if (free[one * dims + dim] !== free[other * dims + dim]) return false
      return true
    },
  }
}
