import type { VmState } from '../../shared/domain/fleet.ts'
import { isTestVm } from '../../shared/domain/ids.ts'
import type { Case } from '../diagnosis/case.ts'
import type { PlacementRules } from '../placement/rules.ts'
import type { PlanRates } from '../placement/times.ts'
import type { BladeRecord } from '../store/blades.ts'
import { type OperationRecord, READING_KINDS } from '../store/operations.ts'
import type { VmRecord } from '../store/vms.ts'
import { bladeHealth } from './health.ts'
import { type LivenessLimits, liveness } from './liveness.ts'
import { homeOf, sightingsByVm } from './sightings.ts'
import type { BladeView, FleetSnapshot, Reservation, VmView } from './snapshot.ts'

export interface SnapshotSources {
  readonly generation: number
  readonly now: number
  readonly blades: readonly BladeRecord[]
  readonly vms: readonly VmRecord[]
  readonly cases: readonly Case[]
  /** Those that have not ended. */
  readonly operations: readonly OperationRecord[]
  readonly maxVmsPerBlade: number
  readonly rules: PlacementRules
  readonly rates: PlanRates
  readonly liveness: LivenessLimits
}

/** Folds what the reports say and what the controller decided into the one view that decisions look at. Pure. */
export function buildSnapshot(sources: SnapshotSources): FleetSnapshot {
  const vms = vmViews(sources)
  const homes = new Map(vms.map(vm => [vm.id, vm.blade]))
  return {
    generation: sources.generation,
    takenAt: sources.now,
    blades: [...sources.blades]
      .filter(blade => blade.joinedAt > 0)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(blade => bladeView(blade, sources, homes)),
    vms,
    rules: sources.rules,
    rates: sources.rates,
  }
}

function vmViews(sources: SnapshotSources): VmView[] {
  const records = new Map(sources.vms.map(vm => [vm.id, vm]))
  // A backup or a boot test only reads: it makes no VM busy.
  const busy = new Map(
    sources.operations
      .filter(operation => !READING_KINDS.includes(operation.kind))
      .map(operation => [operation.vmId, operation]),
  )
  const lives = new Map(
    sources.blades.map(blade => [blade.name, liveness(blade.reportAt, sources.now, sources.liveness)]),
  )
  const views: VmView[] = []
  for (const [id, sightings] of sightingsByVm(sources.blades, sources.vms)) {
    const home = homeOf(sightings)
    if (home === undefined || isTestVm(home.vm.name)) continue
    const operation = busy.get(id)
    let state: VmState = home.vm.state
    if (operation?.kind === 'move') state = 'moving'
    else if (lives.get(home.blade) === 'silent') state = 'lost'
    const { incoming: _incoming, ...vm } = home.vm
    views.push({
      ...vm,
      state,
      blade: home.blade,
      epoch: Math.max(records.get(id)?.epoch ?? 0, home.vm.epoch),
      operation: operation?.id ?? '',
      seenAt: home.at,
      ...(operation?.kind === 'start' && operation.reservation !== undefined ? { starting: true } : {}),
    })
  }
  return views.sort((a, b) => (a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1))
}

function bladeView(
  blade: BladeRecord,
  sources: SnapshotSources,
  homes: ReadonlyMap<string, string>,
): BladeView {
  const life = liveness(blade.reportAt, sources.now, sources.liveness)
  const health = bladeHealth(blade, sources.cases, blade.report?.facts, life)
  return {
    name: blade.name,
    admin: blade.admin,
    health: health.health,
    liveness: life,
    healthReasons: health.reasons,
    chassis: blade.chassis,
    slot: blade.slot,
    feeds: blade.feeds,
    switches: blade.switches,
    maxVms: blade.maxVms > 0 ? blade.maxVms : sources.maxVmsPerBlade,
    lastReportAt: blade.reportAt,
    capacity: blade.report?.capacity,
    facts: blade.report?.facts ?? [],
    peerAddress: blade.peerAddress,
    reservations: reservationsAt(blade, sources.operations, homes),
  }
}

/**
 * Room promised to moves and restores under way, and what boot tests take: their VMs are none of the fleet, yet they
 * are there. Once the target lists the arriving VM, a thick volume is in its pool's figures;
 * a thin volume or sparse file grows while it is copied, so what it does not take yet stays reserved (rule 5). The
 * memory is counted here until the VM counts as the target's own.
 */
function reservationsAt(
  blade: BladeRecord,
  operations: readonly OperationRecord[],
  homes: ReadonlyMap<string, string>,
): Reservation[] {
  const promised = operations.flatMap(operation => {
    const reservation = operation.reservation
    if (reservation === undefined || operation.to !== blade.name) return []
    if (homes.get(reservation.vmId) === blade.name) return []
    const arriving = blade.report?.vms.find(vm => vm.id === reservation.vmId)
    if (arriving === undefined) return [reservation]
    const volumes = reservation.volumes
      .map((volume, index) => {
        if (volume.storage === 'thick') return { ...volume, bytes: 0 }
        return {
          ...volume,
          bytes: Math.max(0, volume.bytes - (arriving.volumes[index]?.allocatedBytes ?? 0)),
        }
      })
      .filter(volume => volume.bytes > 0)
    return [{ ...reservation, volumes }]
  })
  const known = new Set(promised.map(reservation => reservation.vmId))
  return [...promised, ...testVms(blade).filter(reservation => !known.has(reservation.vmId))]
}

/** Test VMs that no operation answers for: one that is being removed, or was left behind. Their volumes take no new room. */
function testVms({ report }: BladeRecord): Reservation[] {
  return (report?.vms ?? [])
    .filter(vm => isTestVm(vm.name))
    .map(vm => ({
      operation: '',
      vmId: vm.id,
      vmName: vm.name,
      memoryBytes: vm.state === 'stopped' || vm.state === 'crashed' ? 0 : vm.memoryBytes,
      vcpus: vm.state === 'stopped' || vm.state === 'crashed' ? 0 : vm.vcpus,
      volumes: [],
    }))
}
