import { formatDuration } from '../../shared/domain/units.ts'
import type { CaseCode, Finding } from '../diagnosis/case.ts'
import { bladeFinding } from '../diagnosis/finding.ts'
import type { NPlusOne } from '../placement/plan.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { VmRecord } from '../store/vms.ts'
import { fleetWide } from './fleet-wide.ts'
import { ruleFindings } from './rule-findings.ts'
import { sightingsByVm } from './sightings.ts'
import type { FleetSnapshot } from './snapshot.ts'

export interface FleetFindingSources {
  readonly now: number
  readonly snapshot: FleetSnapshot
  readonly blades: readonly BladeRecord[]
  readonly vms: readonly VmRecord[]
  readonly nPlusOne: NPlusOne
  /** What would restore N+1, in words. Default: nothing is known to. */
  readonly nPlusOneRelief?: readonly string[]
  /** Ended in needs-admin, and nobody has dealt with it. */
  readonly unsettled: readonly OperationRecord[]
  /** When this controller began to listen: an observer that was away must not blame those it did not hear. */
  readonly listeningSince: number
  readonly silentAfterMs: number
}

/** What is wrong with the fleet rather than with a piece of hardware. Pure. */
export function fleetFindings(sources: FleetFindingSources): Finding[] {
  return [
    ...silentBlades(sources),
    ...refusedAgents(sources),
    ...vmsTwice(sources),
    ...ambiguousNames(sources),
    ...lostNPlusOne(sources),
    ...ruleFindings(sources),
    ...unsettledOperations(sources),
  ]
}

function silentBlades({ snapshot, now, listeningSince, silentAfterMs }: FleetFindingSources): Finding[] {
  if (now - listeningSince < silentAfterMs) return []
  return snapshot.blades
    .filter(blade => blade.liveness === 'silent' && blade.admin !== 'maintenance' && blade.lastReportAt > 0)
    .map(blade =>
      bladeFinding(blade.name, 'blade-silent', 'severe', '', {
        evidence: `no report for ${formatDuration(silentAfterMs)} or more`,
        observedAt: blade.lastReportAt,
      }),
    )
}

function refusedAgents({ blades, now }: FleetFindingSources): Finding[] {
  return blades
    .filter(blade => blade.refusal !== '')
    .map(blade =>
      bladeFinding(blade.name, 'agent-version', 'moderate', '', { evidence: blade.refusal, observedAt: now }),
    )
}

/**
 * Rule 1, watched from outside. Only words that are both newer than the last move count: around a hand-over an older
 * report still has the VM where it was.
 */
function vmsTwice({ blades, vms, snapshot, now }: FleetFindingSources): Finding[] {
  const busy = new Set(snapshot.vms.filter(vm => vm.operation !== '').map(vm => vm.id))
  const names = new Map(vms.map(vm => [vm.id, vm.name]))
  const up = new Set(snapshot.blades.filter(blade => blade.liveness === 'up').map(blade => blade.name))
  const found: Finding[] = []
  for (const [id, sightings] of sightingsByVm(blades, vms)) {
    // An arriving copy counts: it runs only once its source has let go, and no operation is under way any more.
    const running = sightings.filter(each => each.vm.state === 'running' && up.has(each.blade))
    if (running.length < 2 || busy.has(id)) continue
    const where = running.map(each => each.blade).sort()
    const name = names.get(id) ?? id
    found.push({
      ...bladeFinding(where[0] ?? '', 'vm-runs-twice', 'severe', name, {
        evidence: `${name} is reported running by ${where.join(' and ')}`,
        observedAt: now,
      }),
      blades: where,
    })
  }
  return found
}

function ambiguousNames({ snapshot, now }: FleetFindingSources): Finding[] {
  return [...Map.groupBy(snapshot.vms, vm => vm.name)]
    .filter(([, vms]) => vms.length > 1)
    .map(([name, vms]) => {
      const blades = [...new Set(vms.map(vm => vm.blade))].sort()
      const evidence = `${vms.length} VMs are called ${name}, on ${blades.join(', ')}; say which by its UUID`
      return { ...fleetWide('vm-name-ambiguous', 'moderate', name, now, evidence), blades }
    })
}

/** More alternatives than these are for `lifeboat capacity`. */
const RELIEFS_TOLD = 3

function lostNPlusOne({
  nPlusOne,
  nPlusOneRelief = [],
  now,
  snapshot,
  listeningSince,
  silentAfterMs,
}: FleetFindingSources): Finding[] {
  // Until every blade had its chance to report, the room of those that have not is missing for no reason.
  const allHeard = snapshot.blades.every(blade => blade.liveness === 'up')
  if (!allHeard && now - listeningSince < silentAfterMs) return []
  // One blade alone has nothing to be emptied onto: that is the fleet, not an event.
  if (nPlusOne.kept || snapshot.blades.length < 2) return []
  const blades = nPlusOne.notSurvivable.map(each => each.blade).sort()
  const relief = nPlusOneRelief.slice(0, RELIEFS_TOLD).join('; or ')
  const evidence = relief === '' ? nPlusOne.text : `${nPlusOne.text}. What would help: ${relief}`
  return [{ ...fleetWide('n-plus-one-lost', 'moderate', '', now, evidence), blades }]
}

function unsettledOperations({ unsettled, snapshot }: FleetFindingSources): Finding[] {
  const known = new Set(snapshot.blades.map(blade => blade.name))
  return unsettled
    .filter(operation => known.has(operation.from || operation.to))
    .map(operation => {
      const evacuate = operation.kind === 'evacuate'
      const code: CaseCode = evacuate ? 'evacuation-incomplete' : 'operation-needs-admin'
      const evidence = `operation ${operation.id}: ${operation.outcome}`
      // A restore comes from no blade.
      return bladeFinding(
        operation.from || operation.to,
        code,
        evacuate ? 'moderate' : 'severe',
        operation.id,
        {
          evidence,
          observedAt: operation.endedAt,
        },
      )
    })
}
