import type { BladeReport, Vm } from '../../shared/domain/fleet.ts'
import type { Fact } from '../../shared/domain/health.ts'
import { GIB } from '../../shared/domain/units.ts'

/** What played agents report: small, sound, and the same in every story. */
export function vm(name: string, number: number, change: Partial<Vm> = {}): Vm {
  return {
    id: `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`,
    name,
    state: 'running',
    memoryBytes: GIB,
    vcpus: 1,
    volumes: [
      {
        target: 'vda',
        path: `/dev/vg0/${name}`,
        storage: 'thick',
        pool: 'vg0',
        sizeBytes: GIB,
        allocatedBytes: GIB,
        format: 'raw',
      },
    ],
    networks: ['br0'],
    obstacles: [],
    epoch: 0,
    machine: 'pc-q35-10.0',
    cpuModel: '',
    persistent: true,
    incoming: false,
    ...change,
  }
}

export function soundFacts(at = Date.now()): Fact[] {
  return [
    {
      kind: 'mirror',
      observedAt: at,
      name: 'md0',
      expectedMembers: 2,
      members: [
        { device: 'leg0', state: 'in-sync', errors: 0 },
        { device: 'leg1', state: 'in-sync', errors: 0 },
      ],
      activity: 'idle',
      progressPercent: 0,
    },
  ]
}

export function brokenMirror(at = Date.now()): Fact[] {
  return soundFacts(at).map(fact =>
    fact.kind === 'mirror'
      ? { ...fact, members: fact.members.map((m, i) => (i === 1 ? { ...m, state: 'faulty' as const } : m)) }
      : fact,
  )
}

export function soundCapacity(): BladeReport['capacity'] {
  return {
    memoryBytes: 16 * GIB,
    reservedMemoryBytes: GIB,
    cpus: 8,
    pools: [
      { name: 'vg0', storage: 'thick', sizeBytes: 100 * GIB, freeBytes: 80 * GIB, reclaimableBytes: 0 },
    ],
    networks: ['br0'],
    hypervisor: 'libvirt 11.3.0, qemu 10.0.2',
    cpuModels: [],
  }
}
