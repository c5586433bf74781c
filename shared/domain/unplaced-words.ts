/** Why VMs have no place, told once for all of which the same is true. Pure. */

export interface Unplaced {
  readonly vm: string
  readonly reasons: readonly { readonly code: string; readonly text: string; readonly blade?: string }[]
}

export interface SharedReason {
  /** `db01, web01 and 3 more` */
  readonly names: string
  /** `memory-short on 6 blades, vm-limit on blade02`, or what is said of it in full. */
  readonly why: string
}

/** More names than these nobody reads. */
const NAMED_VMS = 8
/** More blades than these are counted. */
const NAMED_BLADES = 3

/** In the order in which they are given, by the first of each group. */
export function byReason(unplaced: readonly Unplaced[]): SharedReason[] {
  const told = unplaced.map(each => ({ vm: each.vm, why: whyOf(each) }))
  const impersonal = ({ vm, why }: (typeof told)[number]) =>
    why
      .split(' ')
      .map(word => (word === vm ? 'it' : word))
      .join(' ')
  return [...Map.groupBy(told, impersonal)].map(([common, same]) => {
    const named = same.slice(0, NAMED_VMS).map(({ vm }) => vm)
    const more = same.length - named.length
    return {
      names: `${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`,
      why: same.length === 1 ? (same[0]?.why ?? '') : common,
    }
  })
}

function whyOf({ reasons }: Unplaced): string {
  const [first, ...others] = reasons
  if (first?.code === 'no-blade-left' && others.length > 0) return bladesByCode(others)
  return reasons.map(reason => reason.text).join('; ')
}

/** `memory-short on 6 blades, vm-limit on blade02` */
function bladesByCode(reasons: Unplaced['reasons']): string {
  return [...Map.groupBy(reasons, reason => reason.code)]
    .map(([code, same]) => ({ code, blades: [...new Set(same.map(reason => reason.blade ?? ''))].sort() }))
    .sort((a, b) => b.blades.length - a.blades.length)
    .map(({ code, blades }) => {
      const where = blades.length <= NAMED_BLADES ? blades.join(', ') : `${blades.length} blades`
      return `${code} on ${where}`
    })
    .join(', ')
}
