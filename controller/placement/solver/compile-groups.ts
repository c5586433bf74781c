import type { VmView } from '../../fleet/snapshot.ts'
import type { Room } from '../room.ts'
import { apartDomain, type FaultDomain, groupsOf, type PlacementRules } from '../rules.ts'
import type { ApartSet, Model } from './model.ts'

type Groups = Pick<Model, 'apart' | 'apartOf' | 'together' | 'togetherOf'>

/**
 * What VMs are to each other: those of a rule, and those that cannot share a blade because of a name or a path. Most
 * names and paths are there once and make no set.
 */
export function compileGroups(
  blades: readonly Room[],
  vms: readonly VmView[],
  rules: PlacementRules,
): Groups {
  const members = new Map<string, { set: ApartSet; vms: number[] }>()
  const together = new Map<string, number[]>()
  const domains = new Map<string, ApartSet>()
  const join = (key: string, across: FaultDomain, vm: number) => {
    const known = members.get(key)
    if (known !== undefined) return known.vms.push(vm)
    const set = domains.get(across) ?? domainsAcross(blades, across)
    domains.set(across, set)
    return members.set(key, { set, vms: [vm] })
  }
  const names = repeated(vms.map(vm => vm.name))
  const paths = repeated(vms.flatMap(vm => vm.volumes.map(volume => volume.path)))
  for (const [index, vm] of vms.entries()) {
    if (names.has(vm.name)) join(`name ${vm.name}`, 'blade', index)
    for (const path of new Set(vm.volumes.map(volume => volume.path).filter(each => paths.has(each))))
      join(`path ${path}`, 'blade', index)
    for (const group of groupsOf(rules, vm.name)) {
      if (!group.hard) continue
      if (group.kind === 'apart') join(`group ${group.name}`, group.across, index)
      else together.set(group.name, [...(together.get(group.name) ?? []), index])
    }
  }
  const apart = [...members.values()].filter(each => each.vms.length > 1)
  const apartOf: number[][] = vms.map(() => [])
  for (const [set, each] of apart.entries()) for (const vm of each.vms) (apartOf[vm] as number[]).push(set)
  const sets = [...together.values()].filter(set => set.length > 1)
  const togetherOf: number[][] = vms.map(() => [])
  for (const [set, each] of sets.entries()) for (const vm of each) (togetherOf[vm] as number[]).push(set)
  return { apart: apart.map(each => each.set), apartOf, together: sets, togetherOf }
}

function repeated(texts: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const again = new Set<string>()
  for (const text of texts) {
    if (seen.has(text)) again.add(text)
    seen.add(text)
  }
  return again
}

function domainsAcross(blades: readonly Room[], across: FaultDomain): ApartSet {
  const numbers = new Map<string, number>()
  const domainOf = Int32Array.from(blades, ({ blade }) => {
    const domain = apartDomain(blade, across)
    const number = numbers.get(domain) ?? numbers.size
    numbers.set(domain, number)
    return number
  })
  return { domainOf, domainCount: numbers.size }
}
