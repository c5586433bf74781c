import { randomFillSync } from 'node:crypto'
import { mkdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import type { StorageKind } from '../../shared/domain/fleet.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import { GIB, KIB, MIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Snapshots } from '../backup/snapshots.ts'
import type { HostFiles } from '../health/host-files.ts'
import type { Power } from '../health/power.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { Volumes } from '../storage/volumes.ts'
import type { SimChassis } from './chassis.ts'
import type { SimDefinition } from './definition-text.ts'
import { createSimDisks, directoryOf, type SimDisks, type SimPool } from './disks.ts'
import { applyFault, type SimFault } from './faults.ts'
import { createSimHostFiles, type SimHardware, soundHardware } from './host-files.ts'
import { CONTROL_SOCKET, createSimHypervisor } from './hypervisor.ts'
import { createSimKnobs, type SimKnobs } from './knobs.ts'
import { createMigrationTarget } from './migration-target.ts'
import { createSimSnapshotKnobs, type SimSnapshotKnobs } from './snapshot-knobs.ts'
import { createSimSnapshots } from './snapshots.ts'
import { VmTable } from './vm-table.ts'
import { openVolumeRecords, type VolumeRecords } from './volume-records.ts'
import { createSimVolumes } from './volumes.ts'

export interface SimBladeOptions {
  readonly name: string
  /** Short: UNIX sockets lie below it. */
  readonly dir: string
  readonly clock: Clock
  readonly chassis: SimChassis
  readonly memoryBytes?: number
  readonly cpus?: number
  readonly pools?: readonly SimPool[]
  readonly networks?: readonly string[]
}

export interface SimVmOptions {
  readonly id: string
  readonly name: string
  readonly memoryBytes: number
  readonly volumes: readonly { readonly kind: StorageKind; readonly sizeBytes: number }[]
  readonly networks?: readonly string[]
  readonly obstacles?: readonly Reason[]
  /** Default true. */
  readonly running?: boolean
  /** Random bytes written to each volume, so that a move has something to carry. Default 256 KiB. */
  readonly contentBytes?: number
}

/** One simulated host: what lives below the agent and survives it. */
export interface SimBlade {
  readonly name: string
  readonly hypervisor: Hypervisor
  readonly volumes: Volumes
  readonly snapshots: Snapshots
  readonly hostFiles: HostFiles
  readonly power: Power
  readonly hardware: SimHardware
  readonly knobs: SimKnobs
  readonly snapshotKnobs: SimSnapshotKnobs
  /** Makes volumes and a definition as an administrator would, and starts it. */
  addVm(options: SimVmOptions): Promise<SimDefinition>
  /** Its disks die: the guest ends where it stands, and neither volumes nor definition are left. */
  loseVm(vmId: string): void
  fail(fault: SimFault): void
  heal(fault: SimFault): void
  /** Steps the guest has done up to now; undefined when this blade does not have it. */
  count(vmId: string): number | undefined
  /** File of the host behind a path a VM sees. */
  hostPath(path: string): string
  /** Power off: guests halt where they stand, sockets close. */
  close(): Promise<void>
}

const DEFAULT_POOLS: readonly SimPool[] = [
  { name: 'vg0', storage: 'thick', sizeBytes: 2 * GIB },
  { name: 'vg0/pool', storage: 'thin', sizeBytes: GIB },
  { name: '/var/lib/libvirt/images', storage: 'file', sizeBytes: GIB },
]

/** Longest `<dir>/s/<12 hex>.c` a UNIX socket can have on Linux is 107 bytes. */
const MAX_DIR_BYTES = 107 - '/s/0123456789ab.c'.length

function makeVolumes(vm: SimVmOptions, disks: SimDisks, records: VolumeRecords): SimDefinition['volumes'] {
  return vm.volumes.map(({ kind, sizeBytes }, index) => {
    const pool = disks.pools.find(candidate => candidate.storage === kind)
    if (pool === undefined) throw new LifeboatError('bad-input', `this blade has no ${kind} pool`)
    const suffix = kind === 'file' ? '.raw' : ''
    const path = `${directoryOf(pool)}/${vm.name}${index === 0 ? '' : `-${index}`}${suffix}`
    records.put({ path, storage: kind, pool: pool.name, sizeBytes, format: 'raw', incomingMove: '' })
    disks.makeImage(path, sizeBytes)
    return { target: `vd${String.fromCharCode(97 + index)}`, path, format: 'raw' as const }
  })
}

/** The second MiB on: the guest's own sector stays its own. */
async function fillContent(hostPath: string, sizeBytes: number, contentBytes: number): Promise<void> {
  const length = Math.min(contentBytes, Math.max(0, sizeBytes - MIB))
  const handle = await open(hostPath, 'r+')
  try {
    if (length > 0) await handle.write(randomFillSync(Buffer.alloc(length)), 0, length, MIB)
  } finally {
    await handle.close()
  }
}

/** A healthy blade without VMs, over `dir`; volumes of an earlier one over the same directory are found again. */
export async function createSimBlade(options: SimBladeOptions): Promise<SimBlade> {
  const { name, dir, clock, chassis } = options
  if (Buffer.byteLength(dir) > MAX_DIR_BYTES) {
    throw new LifeboatError(
      'bad-input',
      `${dir} is too long for the UNIX sockets of a blade (${MAX_DIR_BYTES} bytes)`,
    )
  }
  const socketDirectory = join(dir, 's')
  mkdirSync(socketDirectory, { recursive: true })
  const disks = createSimDisks(join(dir, 'disks'), options.pools ?? DEFAULT_POOLS)
  const records = openVolumeRecords(join(dir, 'volumes.json'))
  const table = new VmTable({ blade: name, clock, disks, ledger: chassis.ledger })
  const knobs = createSimKnobs()
  const snapshotKnobs = createSimSnapshotKnobs()
  const snapshots = createSimSnapshots({
    directory: join(dir, 'snapshots'),
    table,
    disks,
    clock,
    knobs: snapshotKnobs,
  })
  const hardware = soundHardware()
  const controlSocket = join(socketDirectory, CONTROL_SOCKET)
  const target = await createMigrationTarget({ table, disks, directory: socketDirectory, controlSocket })
  const hypervisor = createSimHypervisor({
    table,
    disks,
    clock,
    knobs,
    target,
    socketDirectory,
    memoryBytes: options.memoryBytes ?? 16 * GIB,
    cpus: options.cpus ?? 8,
    networks: options.networks ?? ['bridge:br0'],
  })

  return {
    name,
    hypervisor,
    volumes: createSimVolumes(disks, records),
    snapshots,
    hostFiles: createSimHostFiles(hardware),
    power: {
      async supplies() {
        if (hardware.bmcSilent) throw new LifeboatError('unavailable', `the BMC of ${name} does not answer`)
        return chassis.power.supplies()
      },
    },
    hardware,
    knobs,
    snapshotKnobs,
    async addVm(vm) {
      const volumes = makeVolumes(vm, disks, records)
      for (const [index, volume] of volumes.entries()) {
        const sizeBytes = vm.volumes[index]?.sizeBytes ?? 0
        await fillContent(disks.hostPath(volume.path), sizeBytes, vm.contentBytes ?? 256 * KIB)
      }
      const definition: SimDefinition = {
        id: vm.id,
        name: vm.name,
        memoryBytes: vm.memoryBytes,
        vcpus: 1,
        volumes,
        networks: vm.networks ?? ['bridge:br0'],
        obstacles: vm.obstacles ?? [],
        machine: 'sim-machine-1',
        cpuModel: 'sim-v1',
      }
      const rest = { state: 'stopped', incoming: false, count: 0, runningSince: 0 } as const
      table.put({ definition, persistent: true, autostart: true, ...rest })
      if (vm.running ?? true) table.boot(vm.id)
      return definition
    },
    loseVm(vmId) {
      const { definition } = table.get(vmId)
      table.halt(vmId, 'stopped')
      table.remove(vmId)
      for (const { path } of definition.volumes) {
        rmSync(disks.hostPath(path), { force: true })
        records.remove(path)
      }
    },
    fail: fault => applyFault(fault, true, hardware, chassis),
    heal: fault => applyFault(fault, false, hardware, chassis),
    count(vmId) {
      const vm = table.find(vmId)
      return vm && table.count(vm)
    },
    hostPath: path => disks.hostPath(path),
    async close() {
      for (const vm of table.all()) {
        if (vm.runningSince !== 0) table.halt(vm.definition.id, 'stopped')
      }
      await target.close()
    },
  }
}
