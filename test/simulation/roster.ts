import type { SimVmOptions } from '../../agent/sim/blade.ts'
import { GIB, MIB } from '../../shared/domain/units.ts'
import { bladeName, type SimFleet } from './fleet.ts'

/** A VM of the story, and where it runs at its beginning. */
export interface RosterEntry {
  readonly blade: string
  readonly vm: SimVmOptions
}

const CONTENT_BYTES = 2 * MIB

/** One line per service: how many, memory, and the kinds of its volumes. */
const SERVICES = [
  { name: 'web', count: 8, memoryBytes: 2 * GIB, kinds: ['thin'] },
  { name: 'db', count: 6, memoryBytes: 4 * GIB, kinds: ['thick', 'thin'] },
  { name: 'mail', count: 3, memoryBytes: 3 * GIB, kinds: ['thin', 'thin'] },
  { name: 'app', count: 8, memoryBytes: 2 * GIB, kinds: ['thin'] },
  { name: 'file', count: 5, memoryBytes: GIB, kinds: ['file'] },
] as const

/** A UUID that is the same in every run. */
export function vmIdOf(number: number): string {
  return `5d1f3a60-0000-4000-8000-${String(number).padStart(12, '0')}`
}

/**
 * Thirty VMs on ten blades: four on blade03, which is full and will fail, three on most others, so that there is
 * room for them and a choice to be made.
 */
export function thirtyVms(): RosterEntry[] {
  const vms = SERVICES.flatMap(({ name, count, memoryBytes, kinds }) =>
    Array.from({ length: count }, (_, index) => ({
      name: `${name}${String(index + 1).padStart(2, '0')}`,
      memoryBytes,
      volumes: kinds.map(kind => ({ kind, sizeBytes: 16 * MIB })),
      contentBytes: CONTENT_BYTES,
    })),
  )
  // Dealt like cards, so that each blade has a mixture; the first extra card goes to blade03, and blade10 goes short.
  const seats = [...vms.keys()].map(index => (index === 29 ? 3 : (index % 10) + 1))
  return vms.map((vm, index) => ({
    blade: bladeName(seats[index] ?? 1),
    vm: { id: vmIdOf(index + 1), ...vm },
  }))
}

/** Makes them and starts them. */
export async function populate(fleet: SimFleet, roster: readonly RosterEntry[]): Promise<void> {
  for (const { blade, vm } of roster) await fleet.blade(blade).addVm(vm)
}
