import type { Case } from '../../controller/diagnosis/case.ts'
import type { BladeView, FleetSnapshot, VmView } from '../../controller/fleet/snapshot.ts'
import { NO_RULES, type PlacementRules } from '../../controller/placement/rules.ts'
import { DEFAULT_RATES } from '../../controller/placement/times.ts'
import type { StoragePool, Volume } from '../../shared/domain/fleet.ts'
import { GIB } from '../../shared/domain/units.ts'

/** 2026-03-01 02:14:00 UTC: the night in which these stories play. */
export const NIGHT = Date.UTC(2026, 2, 1, 2, 14)

/** A pool as the stories write it, in GiB; `free` defaults to all of it. */
export interface PoolSketch {
  readonly name: string
  readonly storage: StoragePool['storage']
  readonly gib: number
  readonly freeGib?: number
  readonly reclaimableGib?: number
}

export interface BladeSketch extends Partial<Omit<BladeView, 'capacity' | 'name'>> {
  readonly name: string
  /** Beside the reserve of 4 GiB. Default 60. */
  readonly memoryGib?: number
  /** Default: a thick vg0 of 500 GiB and a thin vg0/pool of 500 GiB, both empty. */
  readonly pools?: readonly PoolSketch[]
  readonly networks?: readonly string[]
  readonly cpuModels?: readonly string[]
  /** Default 16. */
  readonly cpus?: number
  readonly hypervisor?: string
}

export interface VmSketch extends Partial<Omit<VmView, 'name' | 'blade' | 'volumes'>> {
  readonly name: string
  readonly blade: string
  /** Default 4. */
  readonly memoryGib?: number
  /** Default: one thick volume of 20 GiB in vg0. */
  readonly disks?: readonly { pool: string; storage: Volume['storage']; gib: number; allocatedGib?: number }[]
}

export interface FleetSketch {
  readonly blades: readonly BladeSketch[]
  readonly vms: readonly VmSketch[]
  /** What is wanted beside what is possible. Default: nothing. */
  readonly rules?: Partial<PlacementRules>
}

/** A snapshot from a few words: everything that is not said is sound, up and roomy. */
export function fleet(sketch: FleetSketch): FleetSnapshot {
  return {
    generation: 1,
    takenAt: NIGHT,
    blades: sketch.blades.map(bladeView).sort((a, b) => (a.name < b.name ? -1 : 1)),
    vms: sketch.vms.map(vmView).sort((a, b) => (a.name < b.name ? -1 : 1)),
    rules: { ...NO_RULES, ...sketch.rules },
    rates: DEFAULT_RATES,
  }
}

function bladeView({
  memoryGib = 60,
  pools,
  networks,
  cpuModels,
  cpus,
  hypervisor,
  ...rest
}: BladeSketch): BladeView {
  return {
    admin: 'in-service',
    health: 'healthy',
    liveness: 'up',
    healthReasons: [],
    chassis: 'chassis1',
    slot: Number(/\d+$/.exec(rest.name)?.[0] ?? 0),
    feeds: ['feed-a', 'feed-b'],
    switches: ['switch-a', 'switch-b'],
    maxVms: 4,
    lastReportAt: NIGHT,
    facts: [],
    peerAddress: `${rest.name}:7422`,
    reservations: [],
    ...rest,
    capacity: {
      memoryBytes: (memoryGib + 4) * GIB,
      reservedMemoryBytes: 4 * GIB,
      cpus: cpus ?? 16,
      pools: (pools ?? DEFAULT_POOLS).map(pool => ({
        name: pool.name,
        storage: pool.storage,
        sizeBytes: pool.gib * GIB,
        freeBytes: (pool.freeGib ?? pool.gib) * GIB,
        reclaimableBytes: (pool.reclaimableGib ?? 0) * GIB,
      })),
      networks: networks ?? ['br0'],
      hypervisor: hypervisor ?? 'QEMU 7.2',
      cpuModels: cpuModels ?? [],
    },
  }
}

const DEFAULT_POOLS: readonly PoolSketch[] = [
  { name: 'vg0', storage: 'thick', gib: 500 },
  { name: 'vg0/pool', storage: 'thin', gib: 500 },
]

function vmView({ memoryGib = 4, disks, ...rest }: VmSketch): VmView {
  const volumes = disks ?? [{ pool: 'vg0', storage: 'thick', gib: 20 }]
  return {
    id: `id-${rest.name}`,
    state: 'running',
    memoryBytes: memoryGib * GIB,
    vcpus: 2,
    networks: ['br0'],
    obstacles: [],
    epoch: 1,
    machine: 'pc',
    cpuModel: '',
    persistent: true,
    operation: '',
    seenAt: NIGHT,
    ...rest,
    volumes: volumes.map((disk, index) => ({
      target: `vd${'abcdefgh'[index]}`,
      path: `/dev/${disk.pool}/${rest.name}-${index}`,
      storage: disk.storage,
      pool: disk.pool,
      sizeBytes: disk.gib * GIB,
      allocatedBytes: (disk.allocatedGib ?? disk.gib) * GIB,
      format: 'raw',
    })),
  }
}

/** The VM of that name, which must be there. */
export function vmNamed(snapshot: FleetSnapshot, name: string): VmView {
  const vm = snapshot.vms.find(each => each.name === name)
  if (vm === undefined) throw new Error(`the story has no VM ${name}`)
  return vm
}

/** An open case, by default the degraded mirror of the blade. */
export function openCase(blade: string, rest: Partial<Case> = {}): Case {
  const code = rest.code ?? 'mirror-degraded'
  const subject = rest.subject ?? 'md0'
  return {
    id: `c-${code}-${blade}`,
    key: `${code}/${blade}/${subject}`,
    code,
    severity: 'moderate',
    scope: 'blade',
    scopeName: blade,
    blades: [blade],
    subject,
    evidence: 'lost leg1 of md0, 1 of 2 disks left: leg0',
    observedAt: NIGHT,
    openedAt: NIGHT,
    lastFoundAt: NIGHT,
    quietSince: 0,
    closedAt: 0,
    ...rest,
  }
}
