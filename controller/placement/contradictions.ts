import { type GroupRule, type PlacementRules, ruleOf } from './rules.ts'

export interface Contradiction {
  readonly in: 'groups' | 'vms'
  /** Position in that list. */
  readonly index: number
  readonly text: string
}

/**
 * What no placement could ever satisfy, or what is said twice: such rules are not taken at all. A name that nothing
 * bears is no contradiction; its VM may come tomorrow.
 */
export function contradictions(rules: PlacementRules): Contradiction[] {
  return [
    ...saidTwice(rules.groups.map(group => group.name)).map(index => ({
      in: 'groups' as const,
      index,
      text: `there is a rule named '${rules.groups[index]?.name}' already`,
    })),
    ...saidTwice(rules.vms.map(each => each.vm)).map(index => ({
      in: 'vms' as const,
      index,
      text: `'${rules.vms[index]?.vm}' has its own rules already`,
    })),
    ...rules.groups.flatMap((group, index) =>
      group.hard ? impossible(group, rules).map(text => ({ in: 'groups' as const, index, text })) : [],
    ),
  ]
}

function saidTwice(names: readonly string[]): number[] {
  return names.flatMap((name, index) => (names.indexOf(name) === index ? [] : [index]))
}

/** Only what blades cannot change: pins, and groups against each other. Room is for the placement to judge. */
function impossible(group: GroupRule, rules: PlacementRules): string[] {
  if (group.kind === 'together') {
    const pinned = group.vms.filter(vm => ruleOf(rules, vm).blades.length > 0)
    const common = pinned
      .map(vm => ruleOf(rules, vm).blades)
      .reduce(
        (so, blades) => so.filter(blade => blades.includes(blade)),
        ruleOf(rules, pinned[0] ?? '').blades,
      )
    if (pinned.length === 0 || common.length > 0) return []
    return [`${andList(pinned)} must be together, but no blade is among the blades of each of them`]
  }
  const bound = bundles(rules.groups)
  const pairs = group.vms.flatMap((vm, index) =>
    group.vms
      .slice(index + 1)
      .filter(other => bound.get(vm) !== undefined && bound.get(vm) === bound.get(other))
      .map(
        other => `${vm} and ${other} must be apart here, and together by ${togetherRules(rules, vm, other)}`,
      ),
  )
  const pinned = group.vms.filter(vm => ruleOf(rules, vm).blades.length > 0)
  const places = new Set(pinned.flatMap(vm => ruleOf(rules, vm).blades))
  if (pinned.length <= places.size) return pairs
  return [
    ...pairs,
    `${andList(pinned)} must be apart, but together they may only be on ${andList([...places])}`,
  ]
}

/** By name of the VM: a mark that all VMs share which hard groups, one through another, hold together. */
function bundles(groups: readonly GroupRule[]): Map<string, number> {
  const bundle = new Map<string, number>()
  groups.forEach((group, index) => {
    if (group.kind !== 'together' || !group.hard) return
    const joined = new Set(group.vms.flatMap(vm => bundle.get(vm) ?? []))
    for (const [vm, mark] of bundle) if (joined.has(mark)) bundle.set(vm, index)
    for (const vm of group.vms) bundle.set(vm, index)
  })
  return bundle
}

function togetherRules({ groups }: PlacementRules, ...vms: readonly string[]): string {
  const names = groups
    .filter(group => group.kind === 'together' && group.hard && group.vms.some(vm => vms.includes(vm)))
    .map(group => `'${group.name}'`)
  return andList(names)
}

/** `web01, web02 and web03` */
function andList(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}
