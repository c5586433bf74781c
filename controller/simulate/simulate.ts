import type * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { loadToWire, nPlusOneToWire, planToWire } from '../api/plan-view.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { planEvacuation } from '../placement/make-plan.ts'
import { DEFAULT_LIMITS, type PlanLimits } from '../placement/times.ts'
import { readGaneti } from './ganeti-text.ts'
import type { Scenario } from './scenario.ts'

export interface SimulationInput {
  readonly text: string
  readonly format: 'lifeboat' | 'ganeti'
  /** For `ganeti`: VMs a blade may have. Default: no limit. */
  readonly maxVms?: number
}

/** What `lifeboat evacuate BLADE --plan` would answer. */
export interface SimulatedPlan {
  readonly plan: wire.Plan
  readonly allPlaced: boolean
}

/** What happens in the file, and what comes of it. */
export interface SimulatedTimeline {
  readonly story: string
  /** Milliseconds since the epoch. */
  readonly startsAt: number
  readonly timeline: readonly {
    readonly atMs: number
    readonly kind: string
    readonly text: string
    readonly plan?: wire.Plan
  }[]
  readonly after: readonly wire.BladeLoad[]
  readonly nPlusOne: wire.NPlusOne
  readonly allPlaced: boolean
}

/** More names than these nobody reads. */
const NAMED_BLADES = 10

/**
 * A plan that empties these blades together, of the fleet as the file has it before any event. Throws `bad-input` for
 * the file, `not-found` for a blade.
 */
export async function simulateEvacuation(
  input: SimulationInput,
  blades: readonly string[],
): Promise<SimulatedPlan> {
  const { fleet, limits } = await readForPlan(input)
  const known = new Set(fleet.blades.map(blade => blade.name))
  for (const name of blades) {
    if (known.has(name)) continue
    const there = [...known].slice(0, NAMED_BLADES).join(', ')
    const more = known.size > NAMED_BLADES ? ` and ${known.size - NAMED_BLADES} more` : ''
    throw new LifeboatError('not-found', `there is no blade ${name} in the file, only ${there}${more}`)
  }
  const [bladeName = '', ...alsoBlades] = new Set(blades)
  const cause = 'simulated; nothing moves'
  const plan = planEvacuation(fleet, { bladeName, alsoBlades, cause, id: '', now: fleet.takenAt, limits })
  return { plan: planToWire(plan, undefined), allPlaced: plan.unplaced.length === 0 }
}

/** Plays the events of the file. Throws `bad-input` for the file. */
export async function simulateTimeline(input: SimulationInput): Promise<SimulatedTimeline> {
  const { playScenario } = await import('./timeline.ts')
  const scenario = await readScenario(input)
  const { entries, after, nPlusOne, allPlaced } = playScenario(scenario)
  return {
    story: scenario.story,
    startsAt: scenario.fleet.takenAt,
    timeline: entries.map(({ plan, ...entry }) =>
      plan === undefined ? entry : { ...entry, plan: planToWire(plan, undefined) },
    ),
    after: after.map(loadToWire),
    nPlusOne: nPlusOneToWire(nPlusOne),
    allPlaced,
  }
}

/** What is read only where it is needed is loaded only then: a plan from Ganeti's text needs no schema library. */
async function readForPlan(
  input: SimulationInput,
): Promise<{ readonly fleet: FleetSnapshot; readonly limits: PlanLimits }> {
  if (input.format === 'ganeti') return { fleet: readGaneti(input.text, input), limits: DEFAULT_LIMITS }
  const { fleet, config } = await readScenario(input)
  return { fleet, limits: config.evacuation }
}

async function readScenario(input: SimulationInput): Promise<Scenario> {
  if (input.format === 'lifeboat') return (await import('./fleet-file.ts')).readFleet(input.text)
  const { defaultControllerConfig } = await import('../config.ts')
  return { story: '', fleet: readGaneti(input.text, input), config: defaultControllerConfig(), events: [] }
}
