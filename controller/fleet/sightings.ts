import type { Vm } from '../../shared/domain/fleet.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { VmRecord } from '../store/vms.ts'

/** One blade's word on one VM. */
export interface Sighting {
  readonly blade: string
  readonly vm: Vm
  readonly at: number
}

/**
 * Reports that arrive right after a move may have been put together before it: three report intervals, and no picture of
 * the old order of things is left.
 */
const SETTLE_MS = 15 * SECOND_MS

/**
 * An agent's report carries the last look at its VMs, and it looks again within two seconds of an order's end: until
 * then the end of the order is the newer word.
 */
const LOOK_MS = 3 * SECOND_MS

/** Every sighting of every VM, by VM id, less what the end of the VM's last move has made history. */
export function sightingsByVm(
  blades: readonly BladeRecord[],
  vms: readonly VmRecord[],
): ReadonlyMap<string, readonly Sighting[]> {
  const found = new Map<string, Sighting[]>()
  for (const blade of blades) {
    for (const vm of blade.report?.vms ?? []) {
      const sighting = { blade: blade.name, vm, at: blade.reportAt }
      const list = found.get(vm.id)
      if (list === undefined) found.set(vm.id, [sighting])
      else list.push(sighting)
    }
  }
  const names = new Set(blades.map(blade => blade.name))
  for (const record of vms) {
    if (record.placedVm === undefined || !names.has(record.placedOn)) continue
    const told = afterMove(
      found.get(record.id) ?? [],
      record,
      record.placedVm,
      reportAt(blades, record.placedOn),
    )
    if (told.length > 0) found.set(record.id, told)
    else found.delete(record.id)
  }
  return found
}

/**
 * What the reports say, in the light of a move that ended with the VM confirmed on `placedOn`. The target's own word may
 * still call it arriving, the source's may still have it; neither is true any more. A copy elsewhere that *runs* is
 * never hidden for longer than SETTLE_MS: that would be rule 1 broken and not seen.
 */
function afterMove(
  sightings: readonly Sighting[],
  { placedOn, placedAt }: VmRecord,
  placed: Vm,
  targetReportAt: number,
): Sighting[] {
  const current = sightings.filter(each => each.at >= placedAt)
  const atTarget = current.find(each => each.blade === placedOn)
  const elsewhere = current.filter(each => each.blade !== placedOn)
  if (atTarget === undefined && targetReportAt >= placedAt + SETTLE_MS) return elsewhere
  const known = atTarget ?? { blade: placedOn, vm: placed, at: placedAt }
  const isThatMove = known.vm.epoch === placed.epoch
  const isOlderLook = known.at < placedAt + LOOK_MS
  const home =
    isThatMove && (known.vm.incoming || isOlderLook)
      ? { ...known, vm: { ...placed, incoming: false } }
      : known
  const others = elsewhere.filter(each => {
    // The same epoch is no newer word: the source takes it over as it lets go, while it still has the definition.
    if (each.vm.epoch > placed.epoch) return true
    return each.vm.state === 'running' && each.at >= placedAt + SETTLE_MS
  })
  return [home, ...others]
}

function reportAt(blades: readonly BladeRecord[], name: string): number {
  return blades.find(blade => blade.name === name)?.reportAt ?? 0
}

/**
 * Which blade has the VM when several speak of it. Where it runs: an arriving copy runs only once its source has let
 * go, also when nobody has confirmed that yet. Else not the arriving copy; then where it is in memory; then the highest
 * epoch (a left-over definition has an older one); then the newest word; then the name, so that it is the same twice.
 */
export function homeOf(sightings: readonly Sighting[]): Sighting | undefined {
  const executes = (vm: Vm) => (vm.state === 'running' ? 2 : vm.state === 'paused' ? 1 : 0)
  const runs = (vm: Vm) => Number(vm.state === 'running')
  return [...sightings].sort(
    (a, b) =>
      runs(b.vm) - runs(a.vm) ||
      Number(a.vm.incoming) - Number(b.vm.incoming) ||
      executes(b.vm) - executes(a.vm) ||
      b.vm.epoch - a.vm.epoch ||
      b.at - a.at ||
      (a.blade < b.blade ? -1 : 1),
  )[0]
}
