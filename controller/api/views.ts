import type * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import type { PointSummary } from '../../proto/gen/lifeboat/v1/vault.ts'
import { capacityToWire, volumeToWire } from '../../shared/wire/convert.ts'
import { factToWire } from '../../shared/wire/facts.ts'
import type { Standing } from '../backup/standing.ts'
import type { ControllerConfig } from '../config.ts'
import { isQuarantined } from '../fleet/health.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { AlertRecord } from '../store/alerts.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { PointRecord } from '../store/points.ts'
import type { Tags } from '../store/tags.ts'
import { reasonsToWire } from './plan-view.ts'

/** A blade with its three axes. One that has not joined yet is `waiting`: silent, and nothing known of its health. */
export function bladeToWire(
  blade: BladeRecord,
  snapshot: FleetSnapshot,
  config: ControllerConfig,
): wire.Blade {
  const view = snapshot.blades.find(each => each.name === blade.name)
  const vms = snapshot.vms.filter(vm => vm.blade === blade.name)
  const inMemory = vms.filter(vm => vm.state !== 'stopped' && vm.state !== 'crashed')
  const health = view?.health ?? 'unknown'
  return {
    name: blade.name,
    admin: blade.admin,
    health,
    liveness: view?.liveness ?? 'silent',
    quarantined: isQuarantined(health),
    vms: vms.map(vm => vm.name),
    chassis: blade.chassis,
    slot: blade.slot,
    feeds: [...blade.feeds],
    switches: [...blade.switches],
    lastReportAt: blade.reportAt,
    agentVersion: blade.agentVersion,
    address: blade.peerAddress,
    capacity: view?.capacity && capacityToWire(view.capacity),
    facts: (view?.facts ?? []).map(factToWire),
    reasons: [...(view?.healthReasons ?? []), ...(blade.refusal === '' ? [] : [blade.refusal])],
    enrolment: blade.joinedAt > 0 ? 'joined' : 'waiting',
    maxVms: blade.maxVms > 0 ? blade.maxVms : config.placement.maxVmsPerBlade,
    memoryUsedBytes: inMemory.reduce((sum, vm) => sum + vm.memoryBytes, 0),
  }
}

/** A VM as the fleet sees it, with its tags and how well it is backed up. */
export function vmViewToWire(
  vm: VmView,
  backups: { readonly tags: Tags; readonly standing: Standing },
): wire.VmView {
  return {
    name: vm.name,
    id: vm.id,
    blade: vm.blade,
    state: vm.state,
    epoch: vm.epoch,
    memoryBytes: vm.memoryBytes,
    vcpus: vm.vcpus,
    volumes: vm.volumes.map(volumeToWire),
    networks: [...vm.networks],
    obstacles: reasonsToWire(vm.obstacles),
    operation: vm.operation,
    seenAt: vm.seenAt,
    volumeBytes: vm.volumes.reduce((sum, volume) => sum + volume.sizeBytes, 0),
    tags: Object.entries(backups.tags).map(([name, value]) => `${name}=${value}`),
    backup: standingToWire(backups.standing),
  }
}

export function standingToWire(standing: Standing): wire.BackupStanding {
  const { newest, newestVerifiedAt, recoveryMs, overdue, text } = standing
  return {
    newest: newest?.point ?? '',
    newestAt: newest?.at ?? 0,
    newestVerifiedAt,
    recoveryMs,
    overdue,
    text,
  }
}

/** As its vault told of it. */
export function pointToWire({ vault: _vault, ...point }: PointRecord): PointSummary {
  return point
}

/** Also the body of a webhook message. */
export function alertToWire(alert: AlertRecord): wire.Alert {
  return {
    id: alert.id,
    code: alert.code,
    severity: alert.severity,
    blade: alert.blade,
    subject: alert.subject,
    title: alert.title,
    text: alert.text,
    since: alert.raisedAt,
    clearedAt: alert.clearedAt,
    acknowledgedBy: alert.acknowledgedBy,
    acknowledgedAt: alert.acknowledgedAt,
    nextCommand: alert.nextCommand,
    blades: [...alert.blades],
    deliveredAt: alert.deliveredAt,
  }
}
