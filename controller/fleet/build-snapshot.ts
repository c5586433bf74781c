import type { Vm, VmState } from '../../shared/domain/fleet.ts'
import type { Case } from '../diagnosis/case.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { OperationRecord } from '../store/operations.ts'
import type { VmRecord } from '../store/vms.ts'
import { bladeHealth } from './health.ts'
import { type LivenessLimits, liveness } from './liveness.ts'
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
  readonly liveness: LivenessLimits
}

/** One blade's word on one VM. */
export interface Sighting {
  readonly blade: string
  readonly vm: Vm
  readonly at: number
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
  }
}

/** Every sighting of every VM, by VM id. What is older than a finished move of the VM is history and left out. */
export function sightingsByVm(
  blades: readonly BladeRecord[],
  vms: readonly VmRecord[],
): ReadonlyMap<string, readonly Sighting[]> {
  const records = new Map(vms.map(vm => [vm.id, vm]))
  const found = new Map<string, Sighting[]>()
  const add = (id: string, sighting: Sighting) => {
    const list = found.get(id)
    if (list === undefined) found.set(id, [sighting])
    else list.push(sighting)
  }
  const fresh = new Set<string>()
  for (const blade of blades) {
    for (const vm of blade.report?.vms ?? []) {
      const placed = records.get(vm.id)
      if (placed !== undefined && placed.placedAt > 0 && blade.reportAt < placed.placedAt) continue
      if (placed?.placedOn === blade.name) fresh.add(vm.id)
      add(vm.id, { blade: blade.name, vm, at: blade.reportAt })
    }
  }
  // Between the end of a move and the target's next report the VM would be nowhere, or still at the source.
  for (const record of vms) {
    if (record.placedVm === undefined || record.placedOn === '' || fresh.has(record.id)) continue
    const blade = blades.find(each => each.name === record.placedOn)
    if (blade === undefined || blade.reportAt >= record.placedAt) continue
    add(record.id, { blade: record.placedOn, vm: record.placedVm, at: record.placedAt })
  }
  return found
}

function vmViews(sources: SnapshotSources): VmView[] {
  const records = new Map(sources.vms.map(vm => [vm.id, vm]))
  const busy = new Map(sources.operations.map(operation => [operation.vmId, operation]))
  const lives = new Map(
    sources.blades.map(blade => [blade.name, liveness(blade.reportAt, sources.now, sources.liveness)]),
  )
  const views: VmView[] = []
  for (const [id, sightings] of sightingsByVm(sources.blades, sources.vms)) {
    const home = homeOf(sightings)
    if (home === undefined) continue
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
    })
  }
  return views.sort((a, b) => (a.name === b.name ? (a.id < b.id ? -1 : 1) : a.name < b.name ? -1 : 1))
}

/**
 * Which blade has the VM when several speak of it. Not the arriving copy; then where it executes; then the highest
 * epoch (a left-over definition has an older one); then the newest word; then the name, so that it is the same twice.
 */
export function homeOf(sightings: readonly Sighting[]): Sighting | undefined {
  const executes = (vm: Vm) => (vm.state === 'running' ? 2 : vm.state === 'paused' ? 1 : 0)
  return [...sightings].sort(
    (a, b) =>
      Number(a.vm.incoming) - Number(b.vm.incoming) ||
      executes(b.vm) - executes(a.vm) ||
      b.vm.epoch - a.vm.epoch ||
      b.at - a.at ||
      (a.blade < b.blade ? -1 : 1),
  )[0]
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
 * Room promised to moves under way. Once the target lists the arriving VM, a thick volume is in its pool's figures;
 * a thin volume or sparse file grows while it is copied, so what it does not take yet stays reserved (rule 5). The
 * memory is counted here until the VM counts as the target's own.
 */
function reservationsAt(
  blade: BladeRecord,
  operations: readonly OperationRecord[],
  homes: ReadonlyMap<string, string>,
): Reservation[] {
  return operations.flatMap(operation => {
    const reservation = operation.reservation
    if (reservation === undefined || operation.to !== blade.name) return []
    if (homes.get(operation.vmId) === blade.name) return []
    const arriving = blade.report?.vms.find(vm => vm.id === operation.vmId)
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
}
