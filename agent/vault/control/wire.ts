import type * as wire from '../../../proto/gen/lifeboat/v1/vault.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { VERSION } from '../../../shared/version.ts'
import type { PointRef } from '../format/point.ts'
import type { PruneVerdict } from '../store/prune.ts'
import { NO_POLICY, type RetentionPolicies, type RetentionPolicy } from '../store/retention.ts'
import type { StoreStatus } from '../store/vault-store.ts'
import type { PointSummary } from '../vault.ts'

// The vault's own words to those of the wire, and back. Pure.

/** What of a status is the service's and not the store's. */
export interface ServiceStatus {
  readonly name: string
  readonly nowAt: number
  /** Port of the door for agents. */
  readonly agentsPort: number
}

export function statusToWire(status: StoreStatus, service: ServiceStatus): wire.VaultStatus {
  const { scrub } = status
  return {
    ...service,
    version: VERSION,
    sizeBytes: status.sizeBytes,
    freeBytes: status.freeBytes,
    storedBytes: status.storedBytes,
    chunks: status.chunks,
    unproven: status.unproven,
    points: status.points,
    sessions: status.sessions,
    maxSessions: status.maxSessions,
    scrubStartedAt: scrub.startedAt,
    scrubEndedAt: scrub.endedAt,
    scrubDoneChunks: scrub.doneChunks,
    collectedAt: status.collectedAt,
    accepts: status.accepts,
    problems: status.problems.map(({ code, text, chunk, points, since }) => ({
      code,
      text,
      chunk,
      points: points.map(({ vmId, point }) => ({ vmId, point })),
      since,
    })),
  }
}

/** Of one whose manifest cannot be read only its place and what is wrong. */
export function pointToWire(point: PointSummary): wire.PointSummary {
  const { manifest, boot } = point
  const disks = manifest?.disks ?? []
  return {
    vmId: point.vmId,
    vm: point.vm,
    point: point.point,
    blade: point.blade,
    at: point.at,
    consistency: manifest?.consistency ?? '',
    pauseMs: manifest?.pauseMs ?? 0,
    sizeBytes: disks.reduce((total, disk) => total + disk.sizeBytes, 0),
    readBytes: manifest?.figures.readBytes ?? 0,
    sentBytes: manifest?.figures.sentBytes ?? 0,
    storedBytes: manifest?.figures.storedBytes ?? 0,
    durationMs: manifest?.figures.durationMs ?? 0,
    state: point.state,
    stateText: point.stateText,
    checkedAt: point.checkedAt,
    bootedAt: boot?.ok === true ? boot.at : 0,
    recoveryMs: boot?.ok === true ? boot.recoveryMs : 0,
    bootError: boot?.error ?? '',
    disks: disks.map(({ target, sizeBytes, format, storage, pool, path, chunkBytes }) => ({
      target,
      sizeBytes,
      format,
      storage,
      pool,
      path,
      chunkBytes,
    })),
  }
}

export function verdictToWire({ vmId, vm, point, at, keep, reasons }: PruneVerdict): wire.PruneVerdict {
  return { vmId, vm, point, at, keep, reasons: [...reasons] }
}

/** Throws `bad-input` for none. */
export function refFromWire(ref: wire.PointRef | undefined): PointRef {
  if (ref === undefined) throw new LifeboatError('bad-input', 'no restore point is named')
  return { vmId: ref.vmId, point: ref.point }
}

/** Throws `bad-input` for numbers that count nothing. */
export function policiesFromWire({ defaultPolicy, byVmId }: wire.RetentionPolicies): RetentionPolicies {
  return {
    byDefault: defaultPolicy === undefined ? NO_POLICY : policyFromWire('by default', defaultPolicy),
    byVmId: Object.fromEntries(
      Object.entries(byVmId).map(([vmId, policy]) => [vmId, policyFromWire(`of VM ${vmId}`, policy)]),
    ),
  }
}

function policyFromWire(of: string, policy: wire.RetentionPolicy): RetentionPolicy {
  const { keepLast, keepDaily, keepWeekly, keepMonthly } = policy
  const counts = { keepLast, keepDaily, keepWeekly, keepMonthly }
  const wrong = Object.entries(counts).find(([, count]) => !Number.isInteger(count) || count < 0)
  if (wrong === undefined) return counts
  throw new LifeboatError('bad-input', `the retention ${of} cannot keep ${wrong[1]} (${wrong[0]})`)
}
