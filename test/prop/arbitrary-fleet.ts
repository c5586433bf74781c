import fc from 'fast-check'
import type { FleetSnapshot } from '../../controller/fleet/snapshot.ts'
import { GIB } from '../../shared/domain/units.ts'
import { type BladeSketch, fleet, type VmSketch } from '../fakes/fleet-builder.ts'

/** Small numbers on purpose: blades fill up, names collide, and every filter has something to refuse. */
const NAMES = ['blade01', 'blade02', 'blade03', 'blade04', 'blade05'] as const

const pools = fc
  .tuple(fc.nat({ max: 60 }), fc.nat({ max: 40 }), fc.nat({ max: 60 }))
  .map(([free, kept, thin]): BladeSketch['pools'] => [
    { name: 'vg0', storage: 'thick', gib: 100, freeGib: free, reclaimableGib: kept },
    ...(thin < 10 ? [] : [{ name: 'vg0/pool', storage: 'thin' as const, gib: 60, freeGib: thin }]),
  ])

const reservations = fc.array(
  fc.record({
    operation: fc.constant('o1'),
    vmId: fc.constantFrom('id-0', 'id-1', 'id-7', 'id-elsewhere'),
    vmName: fc.constant('guest'),
    memoryBytes: fc.nat({ max: 6 }).map(gib => gib * GIB),
    volumes: fc.nat({ max: 20 }).map(gib => [{ pool: 'vg0', storage: 'thick', bytes: gib * GIB }]),
  }),
  { maxLength: 1 },
)

function blades(calm: boolean): fc.Arbitrary<BladeSketch[]> {
  const mostly = <Value>(usual: Value, ...rest: readonly Value[]) =>
    calm
      ? fc.constant(usual)
      : fc.oneof(
          { weight: 6, arbitrary: fc.constant(usual) },
          { weight: 1, arbitrary: fc.constantFrom(...rest) },
        )
  const one = fc.record({
    memoryGib: fc.integer({ min: 0, max: 24 }),
    maxVms: fc.integer({ min: 1, max: 4 }),
    pools,
    networks: fc.constantFrom(['br0'], ['br0', 'br1']),
    cpuModels: fc.constantFrom([], ['Haswell'], ['Haswell', 'Skylake']),
    chassis: fc.constantFrom('chassis1', 'chassis2'),
    admin: mostly<BladeSketch['admin']>('in-service', 'cordoned', 'maintenance'),
    health: mostly<BladeSketch['health']>('healthy', 'moderate', 'severe', 'unknown'),
    liveness: mostly<BladeSketch['liveness']>('up', 'suspect', 'silent', 'fenced'),
    reservations: calm ? fc.constant([]) : reservations,
  })
  return fc
    .array(one, { minLength: 1, maxLength: NAMES.length })
    .map(list => list.map((blade, index) => ({ ...blade, name: NAMES[index] ?? 'blade99' })))
}

function vms(bladeCount: number, calm: boolean): fc.Arbitrary<VmSketch[]> {
  const disk = fc.record({
    pool: fc.constantFrom('vg0', 'vg0/pool'),
    gib: fc.integer({ min: 1, max: 30 }),
  })
  const one = fc.record({
    blade: fc.nat({ max: bladeCount - 1 }).map(index => NAMES[index] ?? 'blade01'),
    memoryGib: fc.integer({ min: 1, max: 10 }),
    state: calm
      ? fc.constantFrom<VmSketch['state']>('running', 'stopped')
      : fc.constantFrom<VmSketch['state']>(
          'running',
          'running',
          'running',
          'stopped',
          'paused',
          'crashed',
          'unknown',
        ),
    disks: fc.array(disk, { minLength: 1, maxLength: 2 }).map(list =>
      list.map(({ pool, gib }) => ({
        pool,
        gib,
        storage: pool === 'vg0' ? ('thick' as const) : ('thin' as const),
      })),
    ),
    networks: fc.constantFrom(['br0'], ['br0'], ['br1']),
    cpuModel: fc.constantFrom('', '', 'Skylake'),
    persistent: fc.constantFrom(true, true, true, true, calm),
    operation: calm ? fc.constant('') : fc.constantFrom('', '', '', '', 'o1'),
    twin: fc.nat({ max: 9 }),
  })
  return fc.array(one, { maxLength: 12 }).map(list =>
    list.map(({ twin, ...vm }, index) => ({
      ...vm,
      id: `id-${index}`,
      // One in ten has the name of the VM before it.
      name: `vm${twin === 0 && index > 0 ? index - 1 : index}`,
    })),
  )
}

function fleets(calm: boolean): fc.Arbitrary<FleetSnapshot> {
  return blades(calm).chain(list => vms(list.length, calm).map(there => fleet({ blades: list, vms: there })))
}

/** Anything goes: quarantined, silent, full, cordoned; busy, paused and transient VMs. */
export const arbitraryFleet = fleets(false)

/** Every blade up and in service, every VM running or stopped: what is left is a question of room. */
export const calmFleet = fleets(true)

const rule = fc.record({
  kind: fc.constantFrom('apart' as const, 'apart' as const, 'together' as const),
  across: fc.constantFrom('blade' as const, 'blade' as const, 'chassis' as const),
  first: fc.nat({ max: 14 }),
  size: fc.integer({ min: 2, max: 3 }),
})

/**
 * Little room is left and all VMs run: most blades cannot be emptied unless others step aside. VMs lie where they fit,
 * so nothing is overfull to begin with; a few rules of groups beside.
 */
export const tightFleet: fc.Arbitrary<FleetSnapshot> = fc
  .record({
    memory: fc.array(fc.integer({ min: 12, max: 20 }), { minLength: 3, maxLength: 5 }),
    sizes: fc.array(
      fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 2, max: 20 }), fc.nat({ max: 4 })),
      {
        minLength: 8,
        maxLength: 24,
      },
    ),
    groups: fc.array(rule, { maxLength: 2 }),
  })
  .map(({ memory, sizes, groups }) => {
    const room = memory.map(gib => ({ memory: gib, disk: 90, places: 6 }))
    const vms: VmSketch[] = []
    for (const [memoryGib, diskGib, wish] of sizes) {
      const index = room.findIndex((_, offset) =>
        fits(room[(offset + wish) % room.length], memoryGib, diskGib),
      )
      const at = (index + wish) % room.length
      const left = room[at]
      if (index < 0 || left === undefined) continue
      room[at] = { memory: left.memory - memoryGib, disk: left.disk - diskGib, places: left.places - 1 }
      const disks = [{ pool: 'vg0', storage: 'thick' as const, gib: diskGib }]
      vms.push({
        name: `vm${vms.length}`,
        id: `id-${vms.length}`,
        blade: NAMES[at] ?? 'blade01',
        memoryGib,
        disks,
      })
    }
    const blades = memory.map((memoryGib, index): BladeSketch => {
      const freeGib = room[index]?.disk ?? 0
      const thick = { name: 'vg0', storage: 'thick' as const, gib: 90, freeGib }
      const chassis = index % 2 === 0 ? 'chassis1' : 'chassis2'
      return { name: NAMES[index] ?? 'blade99', memoryGib, maxVms: 6, pools: [thick], chassis }
    })
    const named = groups.map(({ kind, across, first, size }, index) => ({
      name: `rule${index}`,
      kind,
      across,
      hard: true,
      vms: Array.from({ length: size }, (_, offset) => `vm${first + offset * 3}`),
    }))
    return fleet({ blades, vms, rules: { groups: named } })
  })

function fits(
  room: { memory: number; disk: number; places: number } | undefined,
  memory: number,
  disk: number,
): boolean {
  return room !== undefined && room.memory >= memory && room.disk >= disk && room.places > 0
}
