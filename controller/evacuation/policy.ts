import { utcTime } from '../../shared/domain/units.ts'
import type { Case } from '../diagnosis/case.ts'
import { isUnreadable } from '../diagnosis/finding.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import { type AskedCause, type EvacuationPolicy, evacuationPolicy } from '../placement/rules.ts'
import { commonCause } from './brakes.ts'

export interface AutomationState {
  readonly paused: boolean
  readonly reason?: string
  readonly pausedBy?: string
}

export interface PolicySettings {
  /** What a degraded mirror with a clean survivor leads to. A failing survivor always evacuates: severe is never weaker. */
  readonly mirrorDegraded: 'evacuate' | 'alert'
  /** How long a mirror must be degraded first: time to push back a disk that was pulled by mistake. */
  readonly holdMs: number
}

export interface PolicyInput {
  readonly snapshot: FleetSnapshot
  readonly cases: readonly Case[]
  readonly automation: AutomationState
  readonly now: number
  readonly settings: PolicySettings
  /** Blades with an evacuation under way. */
  readonly active: ReadonlySet<string>
  /** Ids (not keys) of the cases that already led to an evacuation. A case that comes back later has a new id. */
  readonly handled: ReadonlySet<string>
}

/** A case that empties its blade. */
type Trigger = Case & { readonly code: Exclude<AskedCause, 'asked'> }

/** A blade to be emptied now. Not an order: those go to agents. */
export interface DueEvacuation {
  readonly blade: string
  /** For the plan, in words. */
  readonly cause: string
  readonly caseKey: string
  readonly caseId: string
  /** What the policies of its VMs go by. */
  readonly trigger: AskedCause
}

export interface HeldBack {
  /** Blade or chassis. */
  readonly blade: string
  /** What waits, when it was begun already. */
  readonly operation?: string
  /** What would be done, why it is not, and what to type. */
  readonly text: string
}

export interface PolicyDecision {
  readonly evacuate: readonly DueEvacuation[]
  readonly heldBack: readonly HeldBack[]
}

/**
 * Which blades are to be emptied without being asked. Only a mirror that lost its redundancy leads here: its data has
 * one copy left and every other loss leaves the VMs where they are (DESIGN §8). Whatever speaks against it is told.
 */
export function decideEvacuations(input: PolicyInput): PolicyDecision {
  const evacuate: DueEvacuation[] = []
  const heldBack: HeldBack[] = []
  for (const blade of input.snapshot.blades) {
    const trigger = triggerFor(blade, input.cases)
    if (trigger === undefined || input.active.has(blade.name)) continue
    const vms = input.snapshot.vms.filter(vm => vm.blade === blade.name)
    if (vms.length === 0) continue
    const left = leftByPolicy(blade, trigger, vms, input.snapshot)
    const leaving = vms.filter(vm => evacuationPolicy(input.snapshot.rules, vm.name, trigger.code) === 'live')
    if (left !== undefined) heldBack.push({ blade: blade.name, text: left })
    if (leaving.length === 0) continue
    const obstacle = whyHeldBack(
      blade,
      trigger,
      leaving.map(vm => vm.name),
      input,
    )
    if (obstacle === undefined) {
      const cause = `${trigger.evidence} (case ${trigger.id}, ${trigger.code})`
      evacuate.push({
        blade: blade.name,
        cause,
        caseKey: trigger.key,
        caseId: trigger.id,
        trigger: trigger.code,
      })
    } else {
      heldBack.push({ blade: blade.name, text: obstacle })
    }
  }
  return { evacuate, heldBack: [...heldBack, ...powerAdvice(input)] }
}

/** The case that calls for an evacuation, the worse one first. One that is not found any more calls for nothing. */
function triggerFor(blade: BladeView, cases: readonly Case[]): Trigger | undefined {
  const own = cases.filter(
    each =>
      each.scope === 'blade' && each.scopeName === blade.name && each.closedAt === 0 && each.quietSince === 0,
  )
  const open = (code: Trigger['code']) => own.find((each): each is Trigger => each.code === code)
  return open('mirror-survivor-failing') ?? open('mirror-degraded')
}

/** What the administrator wants to stay, and how it moves all the same; undefined when that is nothing. */
function leftByPolicy(
  blade: BladeView,
  trigger: Trigger,
  vms: readonly VmView[],
  { rules }: FleetSnapshot,
): string | undefined {
  const named = (policy: EvacuationPolicy) =>
    vms.filter(vm => evacuationPolicy(rules, vm.name, trigger.code) === policy).map(vm => vm.name)
  const [waiting, staying] = [named('ask'), named('stay')]
  const parts: string[] = []
  if (waiting.length > 0) {
    parts.push(
      `waiting for a person (policy 'ask'): ${waiting.join(', ')}; \`lifeboat evacuate ${blade.name}\` moves them`,
    )
  }
  if (staying.length > 0) {
    parts.push(
      `to stay (policy 'stay'): ${staying.join(', ')}; \`lifeboat vm migrate VM\` moves one all the same`,
    )
  }
  if (parts.length === 0) return undefined
  return `on ${blade.name} (${trigger.evidence}), ${parts.join(', ')}`
}

/** The first thing that speaks against it, as a sentence; undefined: go. */
function whyHeldBack(
  blade: BladeView,
  trigger: Trigger,
  vms: readonly string[],
  input: PolicyInput,
): string | undefined {
  const { automation, now, settings } = input
  const would = `${blade.name} would be emptied (${trigger.evidence})`
  const byHand = `\`lifeboat evacuate ${blade.name}\` does it now`
  if (input.handled.has(trigger.id)) {
    return `${blade.name} was emptied for this case already, ${vms.join(', ')} stayed: not tried again blindly; \`lifeboat evacuate ${blade.name} --plan\` says what stands in the way`
  }
  if (trigger.code === 'mirror-degraded' && settings.mirrorDegraded === 'alert') {
    return `${would}, but the configuration says mirror_degraded = "alert"; ${byHand}`
  }
  if (automation.paused) {
    const by = automation.pausedBy ? ` by ${automation.pausedBy}` : ''
    const reason = automation.reason ? ` (${automation.reason})` : ''
    return `${would}, but automation is paused${by}${reason}; \`lifeboat automation resume\` lets it go on, ${byHand}`
  }
  if (blade.admin === 'maintenance') {
    return `${would}, but it is in maintenance: somebody works on it; ${byHand}`
  }
  if (blade.liveness !== 'up') {
    return `${would}, but it is ${blade.liveness}: what was last heard of it is too old to act on (rule 9)`
  }
  if (isUnreadable(blade, 'mirror', trigger.subject)) {
    return `${would}, but ${trigger.subject} cannot be read now (rule 9); ${byHand}`
  }
  const common = commonCause(input.cases, input.snapshot.blades)
  if (common !== undefined) {
    return `${would}, but ${common.evidence} (rule 10); find the common cause first, ${byHand}`
  }
  // A point in time, not what is left of it: the sentence stays the same, so it is logged and shown once.
  const goAt = trigger.severity === 'severe' ? now : trigger.openedAt + settings.holdMs
  if (now < goAt) {
    return `${blade.name} will be emptied at ${utcTime(goAt)} (${trigger.evidence}) unless it recovers; \`lifeboat automation pause\` stops it`
  }
  return undefined
}

/** Too little power concerns the whole chassis: emptying one of its blades onto the next gains nothing. */
function powerAdvice(input: PolicyInput): HeldBack[] {
  return input.cases
    .filter(each => each.code === 'power-insufficient' && each.closedAt === 0)
    .map(each => {
      const elsewhere = input.snapshot.blades.filter(
        blade => !each.blades.includes(blade.name) && blade.liveness === 'up' && blade.health === 'healthy',
      )
      const advice =
        elsewhere.length === 0
          ? 'there is no sound blade outside it; repair the supplies, or stop VMs that can wait with `lifeboat vm stop VM`'
          : `sound blades outside it: ${elsewhere.map(blade => blade.name).join(', ')}; \`lifeboat vm migrate VM --to BLADE\` moves what matters most`
      return {
        blade: each.scopeName,
        text: `${each.scopeName} has too little power (${each.evidence}); moving VMs inside it is no help, ${advice}`,
      }
    })
}
