import type { Fact } from '../../shared/domain/health.ts'
import { baselineOf } from '../diagnosis/baseline.ts'
import type { BladeEvidence, Case } from '../diagnosis/case.ts'
import { bladeHealth } from '../fleet/health.ts'
import { type LivenessLimits, liveness } from '../fleet/liveness.ts'
import type { BladeView, FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { PlannedMove } from '../placement/plan.ts'
import { promiseOf } from '../placement/promises.ts'
import { factsOf, feedsByChassis, NO_DAMAGE } from './hardware.ts'
import { afterArrival, afterLeaving, afterRemoval } from './pools.ts'
import { byName } from './quiet-fleet.ts'
import type { Scenario, ScenarioEvent } from './scenario.ts'

/** The simulated fleet as it really is, and as the controller sees it. */
export interface World {
  /** Changes what is real. Events about plans and automation are the timeline's. */
  apply(event: ScenarioEvent, now: number): void
  /** What the controller would see: facts of blades that report, health by the cases, liveness by the last report. */
  snapshot(cases: readonly Case[], now: number): FleetSnapshot
  evidence(now: number): BladeEvidence[]
  /** The VM is part of a move, its room at the target is promised. */
  begin(move: PlannedMove, operation: string): void
  /** False: the VM is not there any more. */
  arrive(move: PlannedMove): boolean
  /** The VM stays where it is, and nothing is promised to it. */
  giveUp(move: PlannedMove): void
  add(vm: VmView, blade: string): void
  isAlive(blade: string): boolean
  cordon(blade: string): void
  /** When what the controller believes of the liveness of blades will change next by time alone. */
  nextLivenessChange(now: number): number
}

const WORST = { healthy: 0, unknown: 1, moderate: 2, severe: 3 } as const

/** The fleet of the scenario before anything has happened to it. */
export function createWorld(scenario: Scenario): World {
  const limits: LivenessLimits = scenario.config.liveness
  const { fleet } = scenario
  const blades = new Map(fleet.blades.map(blade => [blade.name, blade]))
  const vms = new Map(fleet.vms.map(vm => [vm.name, vm]))
  const feedsOf = feedsByChassis(fleet.blades)
  const baselines = new Map(
    fleet.blades.map(blade => [
      blade.name,
      baselineOf(factsOf(blade, feedsOf(blade), NO_DAMAGE, fleet.takenAt), fleet.takenAt),
    ]),
  )
  const damage = {
    mirrors: new Map<string, boolean>(),
    feeds: new Set<string>(),
    switches: new Set<string>(),
  }
  const deadBlades = new Set<string>()
  const deadChassis = new Set<string>()
  /** Of those that do not report: since when. What the file has as not up has never reported. */
  const silentSince = new Map<string, number>()
  const lastFacts = new Map<string, readonly Fact[]>()
  let generation = fleet.generation

  const all = (names: readonly string[], dead: ReadonlySet<string>) =>
    names.length > 0 && names.every(name => dead.has(name))
  const runs = (blade: BladeView) =>
    !deadBlades.has(blade.name) && !deadChassis.has(blade.chassis) && !all(blade.feeds, damage.feeds)
  const reports = (blade: BladeView) => runs(blade) && !all(blade.switches, damage.switches)

  const currentFacts = (blade: BladeView, now: number) =>
    lastFacts.get(blade.name) ?? factsOf(blade, feedsOf(blade), damage, now)

  /** Around a change: whoever falls silent by it has last said how things were before. */
  const withSilence = (now: number, edit: () => void) => {
    const before = new Map(
      [...blades.values()].filter(reports).map(blade => [blade.name, currentFacts(blade, now)]),
    )
    edit()
    for (const blade of blades.values()) {
      if (reports(blade)) {
        silentSince.delete(blade.name)
        lastFacts.delete(blade.name)
      } else if (!silentSince.has(blade.name)) {
        silentSince.set(blade.name, now)
        lastFacts.set(blade.name, before.get(blade.name) ?? [])
      }
    }
  }
  const change = (name: string, edit: Partial<BladeView>) => {
    const blade = blades.get(name)
    if (blade !== undefined) blades.set(name, { ...blade, ...edit })
  }
  const changeVm = (name: string, edit: Partial<VmView>) => {
    const vm = vms.get(name)
    if (vm !== undefined) vms.set(name, { ...vm, ...edit })
  }

  const apply = (event: ScenarioEvent) => {
    generation += 1
    switch (event.what) {
      case 'mirror-degraded':
      case 'mirror-failing':
        damage.mirrors.set(event.blade, event.what === 'mirror-failing')
        break
      case 'mirror-repaired':
        damage.mirrors.delete(event.blade)
        break
      case 'blade-dead':
        deadBlades.add(event.blade)
        break
      case 'blade-back':
        deadBlades.delete(event.blade)
        change(event.blade, { liveness: 'up' })
        break
      case 'cordoned':
      case 'maintenance':
        change(event.blade, { admin: event.what })
        break
      case 'uncordoned':
        change(event.blade, { admin: 'in-service' })
        break
      case 'vm-removed': {
        const vm = vms.get(event.vm)
        if (vm !== undefined) editPools(vm.blade, vm, afterRemoval)
        vms.delete(event.vm)
        break
      }
      case 'vm-stopped':
        changeVm(event.vm, { state: 'stopped' })
        break
      case 'vm-started':
        changeVm(event.vm, { state: 'running' })
        break
      default:
        if ('domain' in event) losePart(event)
    }
  }

  const losePart = ({ domain, name, what }: Extract<ScenarioEvent, { domain: string }>) => {
    const dead = { chassis: deadChassis, feed: damage.feeds, switch: damage.switches }[domain]
    if (what.endsWith('-lost')) dead.add(name)
    else dead.delete(name)
  }

  const editPools = (name: string, vm: VmView, edit: typeof afterArrival) => {
    const capacity = blades.get(name)?.capacity
    if (capacity === undefined) return
    change(name, { capacity: { ...capacity, pools: capacity.pools.map(pool => edit(pool, vm)) } })
  }

  const settle = (vm: VmView, to: string) => {
    editPools(to, vm, afterArrival)
    vms.set(vm.name, { ...vm, blade: to })
    generation += 1
  }

  const release = (move: PlannedMove) => {
    const reservations = blades.get(move.to)?.reservations.filter(each => each.vmName !== move.vm)
    if (reservations !== undefined) change(move.to, { reservations })
    changeVm(move.vm, { operation: '' })
  }

  const viewBlade = (blade: BladeView, cases: readonly Case[], now: number): BladeView => {
    const since = silentSince.get(blade.name)
    const lastReportAt = since ?? now
    const life = blade.liveness === 'up' ? liveness(lastReportAt, now, limits) : blade.liveness
    const facts = currentFacts(blade, now)
    const found = bladeHealth(blade, cases, facts, life)
    const health = WORST[found.health] > WORST[blade.health] ? found.health : blade.health
    const healthReasons = [...blade.healthReasons, ...found.reasons]
    return { ...blade, lastReportAt, liveness: life, facts, health, healthReasons }
  }

  return {
    apply: (event, now) => withSilence(now, () => apply(event)),
    snapshot: (cases, now) => {
      const views = [...blades.values()].map(blade => viewBlade(blade, cases, now)).sort(byName)
      const silent = new Set(views.filter(blade => blade.liveness === 'silent').map(blade => blade.name))
      const seen = [...vms.values()].map(vm =>
        silent.has(vm.blade) ? { ...vm, state: 'lost' as const } : vm,
      )
      return { ...fleet, generation, takenAt: now, blades: views, vms: seen.sort(byName) }
    },
    evidence: now =>
      [...blades.values()].map(blade => ({
        blade: blade.name,
        chassis: blade.chassis,
        facts: currentFacts(blade, now),
        baseline: baselines.get(blade.name),
      })),
    begin: (move, operation) => {
      const vm = vms.get(move.vm)
      const target = blades.get(move.to)
      if (vm === undefined || target === undefined) return
      changeVm(vm.name, { operation })
      change(move.to, { reservations: [...target.reservations, promiseOf({ vm, operation })] })
    },
    arrive: move => {
      release(move)
      const vm = vms.get(move.vm)
      if (vm === undefined) return false
      editPools(move.from, vm, afterLeaving)
      settle(vm, move.to)
      return true
    },
    giveUp: release,
    add: settle,
    isAlive: name => {
      const blade = blades.get(name)
      return blade !== undefined && reports(blade)
    },
    cordon: name => change(name, { admin: 'cordoned' }),
    nextLivenessChange: now => {
      let next = Number.POSITIVE_INFINITY
      for (const since of silentSince.values()) {
        for (const afterMs of [limits.suspectAfterMs, limits.silentAfterMs]) {
          const moment = since + afterMs + 1
          if (moment > now && moment < next) next = moment
        }
      }
      return next
    },
  }
}
