import type { Finding } from '../diagnosis/case.ts'
import { unkeptGroups } from '../placement/groups.ts'
import { fleetWide } from './fleet-wide.ts'
import type { FleetSnapshot } from './snapshot.ts'

export interface RuleFindingSources {
  readonly now: number
  readonly snapshot: FleetSnapshot
  /** When this controller began to listen. */
  readonly listeningSince: number
  readonly silentAfterMs: number
}

/**
 * Placement rules that the fleet does not keep (VMs that were there before the rule, or a person's override: nothing is
 * moved for it), and names in them that nothing bears, which is most often a typing error. Wishes may be unkept. Pure.
 */
export function ruleFindings(sources: RuleFindingSources): Finding[] {
  const { snapshot, now, listeningSince, silentAfterMs } = sources
  // Until every blade had its chance to report, its VMs are unknown for no reason.
  const allHeard = snapshot.blades.every(blade => blade.liveness === 'up')
  const isEarly = !allHeard && now - listeningSince < silentAfterMs
  return [...notKept(snapshot, now), ...(isEarly ? [] : unknownNames(snapshot, now))]
}

function notKept(snapshot: FleetSnapshot, now: number): Finding[] {
  const groups = unkeptGroups(snapshot)
    .filter(({ group }) => group.hard)
    .map(({ group, text, blades }) => {
      const evidence = `rule '${group.name}' wants them ${group.kind}: ${text}`
      return { ...fleetWide('rule-not-kept', 'info', group.name, now, evidence), blades }
    })
  const byName = Map.groupBy(snapshot.vms, vm => vm.name)
  const pins = snapshot.rules.vms.flatMap(rule =>
    (rule.blades.length === 0 ? [] : (byName.get(rule.vm) ?? []))
      .filter(vm => !rule.blades.includes(vm.blade))
      .map(vm => {
        const evidence = `${vm.name} is on ${vm.blade}, and may only be on ${rule.blades.join(', ')}`
        return { ...fleetWide('rule-not-kept', 'info', vm.name, now, evidence), blades: [vm.blade] }
      }),
  )
  return [...groups, ...pins]
}

/** One case for all of them: they are mended in one place. */
function unknownNames({ rules, vms, blades }: FleetSnapshot, now: number): Finding[] {
  const vmNames = new Set(vms.map(vm => vm.name))
  const bladeNames = new Set(blades.map(blade => blade.name))
  const unknown = [
    ...rules.groups.flatMap(group =>
      group.vms.filter(vm => !vmNames.has(vm)).map(vm => `no VM is called ${vm} (rule '${group.name}')`),
    ),
    ...rules.vms.flatMap(rule => [
      ...(vmNames.has(rule.vm) ? [] : [`no VM is called ${rule.vm} (its own rules)`]),
      ...rule.blades
        .filter(blade => !bladeNames.has(blade))
        .map(blade => `no blade is called ${blade} (blades of ${rule.vm})`),
    ]),
  ]
  return unknown.length === 0 ? [] : [fleetWide('rule-name-unknown', 'info', '', now, unknown.join('; '))]
}
