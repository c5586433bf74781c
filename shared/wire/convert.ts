/**
 * Wire ↔ domain. Towards the wire nothing can go wrong; from it everything is checked, and `bad-input` names every bad
 * field. A newer agent's words are refused like wrong ones: the controller is upgraded first.
 */

import type { Report } from '../../proto/gen/lifeboat/v1/intake.ts'
import type * as wire from '../../proto/gen/lifeboat/v1/types.ts'
import {
  type BladeReport,
  type Capacity,
  STORAGE_KINDS,
  type StoragePool,
  VM_STATES,
  type Vm,
  type Volume,
  type VolumeFormat,
} from '../domain/fleet.ts'
import type { CommandRecord } from '../domain/operation.ts'
import { REASON_CODES, type Reason } from '../domain/reason.ts'
import { factToWire, readFact } from './facts.ts'
import { FieldReader } from './reader.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const FORMATS: readonly VolumeFormat[] = ['raw', 'qcow2']

export function volumeToWire(volume: Volume): wire.Volume {
  return { ...volume }
}

export function reasonToWire(reason: Reason): wire.Reason {
  return {
    code: reason.code,
    text: reason.text,
    blade: reason.blade ?? '',
    needed: reason.needed ?? 0,
    available: reason.available ?? 0,
  }
}

export function vmToWire(vm: Vm): wire.Vm {
  return {
    ...vm,
    volumes: vm.volumes.map(volumeToWire),
    networks: [...vm.networks],
    obstacles: vm.obstacles.map(reasonToWire),
  }
}

export function capacityToWire(capacity: Capacity): wire.Capacity {
  return {
    ...capacity,
    pools: capacity.pools.map(pool => ({ ...pool })),
    networks: [...capacity.networks],
    cpuModels: [...capacity.cpuModels],
  }
}

export function reportToWire(report: BladeReport): Report {
  return {
    sequence: report.sequence,
    observedAt: report.observedAt,
    facts: report.facts.map(factToWire),
    vms: report.vms.map(vmToWire),
    capacity: capacityToWire(report.capacity),
    complete: report.complete,
  }
}

/** Throws `bad-input` naming every bad field: a report is taken whole or not at all. */
export function reportFromWire(report: Report): BladeReport {
  const reader = new FieldReader()
  const result = readReport(reader, 'report', report)
  reader.finish('report')
  return result
}

/** `blade`: who ran it; the controller shows the commands of both ends of a move together. */
export function commandToWire(record: CommandRecord, blade: string): wire.Command {
  return { ...record, argv: [...record.argv], blade }
}

function readVolume(reader: FieldReader, where: string, volume: wire.Volume): Volume {
  return {
    target: reader.text(`${where}.target`, volume.target),
    path: reader.text(`${where}.path`, volume.path),
    storage: reader.oneOf(`${where}.storage`, volume.storage, STORAGE_KINDS),
    // Empty when the volume lies in none of the blade's pools; such a VM has an obstacle that says so.
    pool: volume.pool,
    sizeBytes: reader.whole(`${where}.sizeBytes`, volume.sizeBytes),
    allocatedBytes: reader.whole(`${where}.allocatedBytes`, volume.allocatedBytes),
    format: reader.oneOf(`${where}.format`, volume.format, FORMATS),
  }
}

/** The wire has no "absent": an empty blade is none, and two zeros are no numbers (nothing needed, nothing there). */
function readReason(reader: FieldReader, where: string, reason: wire.Reason): Reason {
  const needed = reader.whole(`${where}.needed`, reason.needed)
  const available = reader.whole(`${where}.available`, reason.available)
  return {
    code: reader.oneOf(`${where}.code`, reason.code, REASON_CODES),
    text: reader.text(`${where}.text`, reason.text),
    ...(reason.blade === '' ? {} : { blade: reason.blade }),
    ...(needed === 0 && available === 0 ? {} : { needed, available }),
  }
}

function readVm(reader: FieldReader, where: string, vm: wire.Vm): Vm {
  return {
    id: reader.matching(`${where}.id`, vm.id, UUID, 'a UUID in lower case'),
    name: reader.text(`${where}.name`, vm.name),
    state: reader.oneOf(`${where}.state`, vm.state, VM_STATES),
    memoryBytes: reader.whole(`${where}.memoryBytes`, vm.memoryBytes),
    vcpus: reader.whole(`${where}.vcpus`, vm.vcpus),
    volumes: reader.each(`${where}.volumes`, vm.volumes, readVolume),
    networks: [...vm.networks],
    obstacles: reader.each(`${where}.obstacles`, vm.obstacles, readReason),
    epoch: reader.whole(`${where}.epoch`, vm.epoch),
    machine: vm.machine,
    cpuModel: vm.cpuModel,
    persistent: vm.persistent,
    incoming: vm.incoming,
  }
}

function readPool(reader: FieldReader, where: string, pool: wire.StoragePool): StoragePool {
  return {
    name: reader.text(`${where}.name`, pool.name),
    storage: reader.oneOf(`${where}.storage`, pool.storage, STORAGE_KINDS),
    sizeBytes: reader.whole(`${where}.sizeBytes`, pool.sizeBytes),
    freeBytes: reader.whole(`${where}.freeBytes`, pool.freeBytes),
    reclaimableBytes: reader.whole(`${where}.reclaimableBytes`, pool.reclaimableBytes),
  }
}

function readCapacity(reader: FieldReader, where: string, capacity: wire.Capacity): Capacity {
  return {
    memoryBytes: reader.whole(`${where}.memoryBytes`, capacity.memoryBytes),
    reservedMemoryBytes: reader.whole(`${where}.reservedMemoryBytes`, capacity.reservedMemoryBytes),
    cpus: reader.whole(`${where}.cpus`, capacity.cpus),
    pools: reader.each(`${where}.pools`, capacity.pools, readPool),
    networks: [...capacity.networks],
    hypervisor: capacity.hypervisor,
    cpuModels: [...capacity.cpuModels],
  }
}

const NO_CAPACITY: wire.Capacity = {
  memoryBytes: 0,
  reservedMemoryBytes: 0,
  cpus: 0,
  pools: [],
  networks: [],
  hypervisor: '',
  cpuModels: [],
}

function readReport(reader: FieldReader, where: string, report: Report): BladeReport {
  if (report.capacity === undefined) reader.problem(`${where}.capacity`, 'is missing')
  return {
    sequence: reader.whole(`${where}.sequence`, report.sequence),
    observedAt: reader.whole(`${where}.observedAt`, report.observedAt),
    facts: reader.each(`${where}.facts`, report.facts, readFact),
    vms: reader.each(`${where}.vms`, report.vms, readVm),
    capacity: readCapacity(reader, `${where}.capacity`, report.capacity ?? NO_CAPACITY),
    complete: report.complete,
  }
}
