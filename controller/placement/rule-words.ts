import { type GroupRule, groupsOf, type PlacementRules, ruleOf, type VmRule } from './rules.ts'

/** What the configuration wants of one VM, a line for each rule; empty where it wants nothing. */
export function ruleWords(rules: PlacementRules, vmName: string): string[] {
  const rule = ruleOf(rules, vmName)
  return [
    ...groupsOf(rules, vmName).map(group => groupWords(group, vmName)),
    ...(rule.blades.length === 0 ? [] : [`it may only be on ${rule.blades.join(', ')}`]),
    ...(rule.priority === 0 ? [] : [`its priority is ${rule.priority}, where others have 0`]),
    ...policyWords(rule),
  ]
}

function groupWords({ name, kind, vms, across, hard }: GroupRule, vmName: string): string {
  const others = vms.filter(vm => vm !== vmName).join(', ')
  const how = kind === 'apart' ? `apart from ${others}, across ${across}` : `together with ${others}`
  return `rule '${name}': ${how}${hard ? '' : ' (a wish)'}`
}

function policyWords({ evacuate }: VmRule): string[] {
  const said = Object.entries(evacuate).map(([cause, policy]) => `${policy} for ${cause}`)
  return said.length === 0 ? [] : [`when its blade is emptied: ${said.join(', ')}`]
}
