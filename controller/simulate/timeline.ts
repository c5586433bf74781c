import { LifeboatError } from '../../shared/errors.ts'
import { type Case, DEFAULT_HOLDS } from '../diagnosis/case.ts'
import { diagnose } from '../diagnosis/engine.ts'
import { updateCases } from '../diagnosis/update-cases.ts'
import { commonCause } from '../evacuation/brakes.ts'
import { decideEvacuations } from '../evacuation/policy.ts'
import { fleetFindings } from '../fleet/fleet-findings.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { admit } from '../placement/gate.ts'
import { loadsByName } from '../placement/load.ts'
import { planEvacuation } from '../placement/make-plan.ts'
import { placeAll } from '../placement/place.ts'
import type { BladeLoad, NPlusOne, Plan } from '../placement/plan.ts'
import { createAsker, withReasons } from '../placement/returns.ts'
import { roomsOf } from '../placement/room.ts'
import type { AskedCause } from '../placement/rules.ts'
import { nPlusOne } from '../placement/survives.ts'
import { createMovesUnderWay } from './moves-under-way.ts'
import type { Scenario, ScenarioEvent } from './scenario.ts'
import { describeEvent, describePlan, describeReturns } from './timeline-words.ts'
import { createWorld } from './world.ts'

export interface TimelineEntry {
  /** From the start. */
  readonly atMs: number
  readonly kind: keyof typeof ENTRY_KINDS
  readonly text: string
  /** Of a `plan`. */
  readonly plan?: Plan
}

export const ENTRY_KINDS = {
  event: 'what the file says happens',
  case: 'what the diagnosis made of it',
  'held-back': 'what would be done, and why it is not',
  plan: 'what was decided',
  moved: 'a move has ended well',
  failed: 'a move or a start could not be',
  'would-return': 'where the VMs of a dead blade have their places',
  placed: 'a new VM has found a blade',
  'n-plus-one': 'whether any one blade may fail, when that changes',
} as const

export interface Timeline {
  readonly entries: readonly TimelineEntry[]
  readonly after: readonly BladeLoad[]
  readonly nPlusOne: NPlusOne
  /** No plan left a VM without a place, no dead blade's VM lacks one, no new VM was turned away. */
  readonly allPlaced: boolean
}

/** Far more than any scenario needs: each step has a cause, and a defect in one of them must not hang. */
const MOST_STEPS = 100_000

/**
 * Plays the scenario to its end: events as they come, diagnosis and policy after each, plans as they are decided, moves
 * that all succeed at the time the plan gives, unless an end of one dies. Nothing is decided here that the controller's
 * own functions do not decide.
 */
export function playScenario(scenario: Scenario): Timeline {
  const { config, fleet } = scenario
  const startAt = fleet.takenAt
  const world = createWorld(scenario)
  const events = [...scenario.events]
  const entries: TimelineEntry[] = []
  const moves = createMovesUnderWay(world)
  const handled = new Set<string>()
  let cases: readonly Case[] = []
  let pending: ReadonlyMap<string, number> = new Map()
  let held: ReadonlySet<string> = new Set()
  let isPaused = !config.evacuation.automatic
  let current = nPlusOne(world.snapshot(cases, startAt))
  let caseNumber = 0
  let planNumber = 0
  let allPlaced = true
  let now = startAt

  const tell = (kind: TimelineEntry['kind'], text: string, plan?: Plan) => {
    entries.push({ atMs: now - startAt, kind, text, ...(plan === undefined ? {} : { plan }) })
  }

  const nextCase = () => {
    caseNumber += 1
    return `c${caseNumber}`
  }

  const happen = (event: ScenarioEvent) => {
    tell('event', describeEvent(event))
    if (event.what === 'automation-paused' || event.what === 'automation-resumed') {
      isPaused = event.what === 'automation-paused'
    } else if (event.what === 'evacuate') evacuate(event.blade, 'asked for by a person', 'asked')
    else if (event.what === 'vm-added') placeNew(event.vm)
    else if (event.what !== 'vm-started' || mayStart(event.vm)) world.apply(event, now)
  }

  /** A start goes through the gate like everything else. */
  const mayStart = (name: string): boolean => {
    const snapshot = world.snapshot(cases, now)
    const vm = snapshot.vms.find(each => each.name === name)
    const reasons = vm === undefined ? [] : admit(snapshot, vm, vm.blade)
    if (reasons.length === 0) return true
    allPlaced = false
    tell('failed', `${name} does not start: ${reasons.map(reason => reason.text).join('; ')}`)
    return false
  }

  const evacuate = (blade: string, cause: string, trigger: AskedCause) => {
    if (moves.active().has(blade)) return tell('failed', `${blade} is being emptied already`)
    planNumber += 1
    const snapshot = world.snapshot(cases, now)
    const limits = config.evacuation
    const plan = planEvacuation(snapshot, {
      bladeName: blade,
      cause,
      trigger,
      id: `p${planNumber}`,
      now,
      limits,
    })
    tell('plan', describePlan(plan), plan)
    if (plan.unplaced.length > 0) allPlaced = false
    moves.start(plan, now)
    if (trigger === 'asked') world.cordon(blade)
  }

  const placeNew = (vm: FleetSnapshot['vms'][number]) => {
    const snapshot = world.snapshot(cases, now)
    const { placements, unplaced } = placeAll([vm], roomsOf(snapshot))
    const place = placements[0]
    if (place !== undefined) {
      world.add(vm, place.to)
      return tell('placed', `${vm.name} → ${place.to}`)
    }
    allPlaced = false
    const reasons = (unplaced[0]?.reasons ?? []).map(reason => reason.text)
    tell('failed', `no blade for ${vm.name}: ${reasons.join('; ')}`)
  }

  const endMoves = () => {
    for (const { move, failure } of moves.end(now)) {
      if (failure === '') tell('moved', `${move.vm}: ${move.from} → ${move.to}`)
      else tell('failed', `${move.vm} stays on ${move.from}: ${failure}`)
      if (failure !== '') allPlaced = false
    }
  }

  const look = (): boolean => {
    const snapshot = world.snapshot(cases, now)
    const found = [
      ...diagnose(world.evidence(now), now, { neededSupplies: config.power.neededSupplies, open: cases }),
      ...fleetFindings({
        now,
        snapshot,
        blades: [],
        vms: [],
        nPlusOne: { ...current, kept: true },
        unsettled: [],
        listeningSince: startAt - config.liveness.silentAfterMs,
        silentAfterMs: config.liveness.silentAfterMs,
      }),
    ]
    const common = commonCause(cases, snapshot.blades)
    if (common !== undefined) found.push(common)
    const edits = updateCases(cases, found, now, DEFAULT_HOLDS, nextCase, pending)
    cases = edits.cases
    pending = edits.pending
    for (const line of edits.story) tell('case', line)
    for (const opened of edits.opened) if (opened.code === 'blade-silent') tellReturns(opened.scopeName)
    return edits.opened.length + edits.closed.length > 0
  }

  const tellReturns = (blade: string) => {
    const snapshot = world.snapshot(cases, now)
    const vms = snapshot.vms.filter(vm => vm.blade === blade)
    const dead = new Set(snapshot.blades.filter(each => each.liveness === 'silent').map(each => each.name))
    const rooms = roomsOf(snapshot)
    const answer = createAsker(rooms, snapshot.vms)(vms, dead)
    const unplaced = withReasons(rooms, dead, answer)
    if (unplaced.length > 0) allPlaced = false
    if (vms.length > 0) tell('would-return', describeReturns(blade, answer.returns, unplaced))
  }

  const decide = () => {
    const decision = decideEvacuations({
      snapshot: world.snapshot(cases, now),
      cases,
      automation: isPaused ? { paused: true } : { paused: false },
      now,
      settings: config.evacuation,
      active: moves.active(),
      handled,
    })
    for (const { blade, cause, caseId, trigger } of decision.evacuate) {
      handled.add(caseId)
      evacuate(blade, cause, trigger)
    }
    const texts = new Set(decision.heldBack.map(each => each.text))
    for (const text of texts) if (!held.has(text)) tell('held-back', text)
    held = texts
  }

  const tellNPlusOne = () => {
    const next = nPlusOne(world.snapshot(cases, now))
    if (next.text !== current.text) tell('n-plus-one', next.text)
    current = next
  }

  /** What may change next by time alone; Infinity: nothing. */
  const nextMoment = (): number => {
    let next = startAt + (events[0]?.atMs ?? Number.POSITIVE_INFINITY)
    const consider = (moment: number) => {
      if (moment > now && moment < next) next = moment
    }
    consider(world.nextLivenessChange(now))
    consider(moves.nextEnd())
    // Which of the holds it is, is not looked up: a look too early finds nothing new.
    for (const since of pending.values()) {
      for (const hold of Object.values(DEFAULT_HOLDS.assertMs)) consider(since + hold)
    }
    for (const each of cases) {
      consider(each.openedAt + config.evacuation.holdMs)
      if (each.quietSince > 0) consider(each.quietSince + DEFAULT_HOLDS.clearMs)
    }
    return next
  }

  if (!current.kept) tell('n-plus-one', current.text)
  for (let step = 0; ; step++) {
    if (step > MOST_STEPS) throw new LifeboatError('internal', 'the simulation does not come to an end')
    while (events[0] !== undefined && startAt + events[0].atMs <= now) happen(events.shift() as ScenarioEvent)
    endMoves()
    // A second look sees what the first made of it: so many cases at once are one more.
    for (let again = 0; look() && again < 3; again++);
    decide()
    tellNPlusOne()
    const next = nextMoment()
    if (!Number.isFinite(next)) break
    now = next
  }
  const last = world.snapshot(cases, now)
  const after = loadsByName(roomsOf(last))
  return { entries, after, nPlusOne: current, allPlaced }
}
