import type { BladeReport } from '../../shared/domain/fleet.ts'
import { isTestVm } from '../../shared/domain/ids.ts'
import type { Logger } from '../../shared/log.ts'
import { baselineOf } from '../diagnosis/baseline.ts'
import type { Baseline } from '../diagnosis/case.ts'
import type { PlanRates } from '../placement/times.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { Store } from '../store/store.ts'
import { buildSnapshot, type SnapshotSources } from './build-snapshot.ts'
import { measuredRates } from './measured-rates.ts'
import type { FleetSnapshot } from './snapshot.ts'

/** What the fleet looks like now: reports go in, snapshots come out. Every report is stored before it counts. */
export interface FleetState {
  accept(blade: string, report: BladeReport, now: number): void
  /**
   * A fresh, frozen view. Never kept over an await: the next decision takes its own. `without` leaves one operation
   * out, for the operation that asks whether it may go on: it is not in its own way.
   */
  snapshot(now: number, without?: string): FleetSnapshot
  /** Anything a decision looks at has changed: the next snapshot has a new generation. */
  touch(): void
}

export interface FleetStateOptions {
  readonly store: Store
  readonly log: Logger
  readonly limits: Pick<SnapshotSources, 'maxVmsPerBlade' | 'liveness' | 'rules'>
}

/** Generations go on above those of earlier runs, so that no two snapshots share one. */
export function createFleetState({ store, log, limits }: FleetStateOptions): FleetState {
  let generation = store.settings.nextNumber('fleet-restarts') * 1_000_000
  /** Read anew after each change but a report: those come by the hundred a second, and end no copy. */
  let rates: PlanRates | undefined
  const touch = () => {
    generation += 1
    rates = undefined
  }
  const currentRates = () => {
    rates ??= readRates(store)
    return rates
  }
  return {
    touch,
    accept: (name, report, now) => {
      const blade = store.blades.get(name)
      if (blade === undefined) return
      const merged = mergeReport(blade.report, report)
      store.transaction(() => {
        store.blades.update(name, { report: merged, reportAt: now })
        for (const vm of merged.vms) {
          if (isTestVm(vm.name)) continue
          store.vms.seen(vm, now)
          store.vms.seenOn(vm.id, name, now)
        }
        const baseline = baselineAfter(blade, report, now)
        if (baseline !== undefined) {
          const words = describeBaseline(baseline)
          store.blades.update(name, { baseline })
          store.stories.tell('blade', name, now, `baseline taken: ${words}`)
          log.info(`blade ${name}: baseline taken: ${words}`)
        }
      })
      generation += 1
    },
    snapshot: (now, without) =>
      buildSnapshot({
        generation,
        now,
        blades: store.blades.list(),
        vms: store.vms.list(),
        cases: store.cases.open(),
        operations: store.operations.active().filter(operation => operation.id !== without),
        ...limits,
        rates: currentRates(),
      }),
  }
}

/** Enough for the medians of the links that were used lately. */
const MOVES_READ = 200
const RESTORES_READ = 20

function readRates({ operations, orders }: Store): PlanRates {
  const restores = (['restore', 'boot-test'] as const)
    .flatMap(kind => operations.done(kind, RESTORES_READ))
    .sort((a, b) => b.endedAt - a.endedAt)
    .map(operation => ({
      operation,
      steps: orders.get(`${operation.id}/${operation.kind}`)?.agentSteps ?? [],
    }))
  return measuredRates({ moves: operations.done('move', MOVES_READ), restores })
}

/** An incomplete report is good in what it says; what it does not mention stays as it was last seen. */
function mergeReport(last: BladeReport | undefined, report: BladeReport): BladeReport {
  if (report.complete || last === undefined) return report
  const mentioned = new Set(report.vms.map(vm => vm.id))
  const capacity = report.capacity.memoryBytes > 0 ? report.capacity : last.capacity
  return { ...report, capacity, vms: [...report.vms, ...last.vms.filter(vm => !mentioned.has(vm.id))] }
}

/**
 * The first complete report makes the baseline. A kind of hardware that could not be read then (a BMC that was set up
 * later) joins the baseline when it can; what is in it already only changes by a person's word.
 */
function baselineAfter(blade: BladeRecord, report: BladeReport, now: number): Baseline | undefined {
  if (!report.complete) return undefined
  const seen = baselineOf(report.facts, now)
  const had = blade.baseline
  if (had === undefined) return seen
  const fill = <Part>(old: readonly Part[], current: readonly Part[]) => (old.length === 0 ? current : old)
  const filled = {
    takenAt: had.takenAt,
    mirrors: fill(had.mirrors, seen.mirrors),
    bonds: fill(had.bonds, seen.bonds),
    supplies: fill(had.supplies, seen.supplies),
  }
  return JSON.stringify(filled) === JSON.stringify(had) ? undefined : filled
}

/** `md0 (leg0, leg1), bond0 (eth0, eth1), power supplies PS1, PS2` */
export function describeBaseline(baseline: Baseline): string {
  const parts = [
    ...baseline.mirrors.map(mirror => `${mirror.name} (${mirror.devices.join(', ')})`),
    ...baseline.bonds.map(bond => `${bond.name} (${bond.nics.join(', ')})`),
  ]
  if (baseline.supplies.length > 0) parts.push(`power supplies ${baseline.supplies.join(', ')}`)
  return parts.length === 0 ? 'no mirror, bond or power supply readable' : parts.join(', ')
}
