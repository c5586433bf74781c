import { jitterOf, nextAfter, parseCron } from '../../shared/cron.ts'
import type { VmView } from '../fleet/snapshot.ts'
import type { KnownBackups } from './known.ts'
import type { BackupConfig } from './settings.ts'
import type { Standing } from './standing.ts'

/** The next backup of one VM, as it is expected. */
export interface PlannedNight {
  readonly vm: VmView
  readonly vault: string
  readonly mode: string
  /** 0: never. */
  readonly nextAt: number
  /** From the last ones; 0: not known. */
  readonly expectedMs: number
  /** 0: not known. */
  readonly expectedEndAt: number
  readonly standing: Standing
  readonly text: string
}

/** So many of the last backups tell how long the next one takes. */
const LAST = 5

/**
 * The soonest first, those that never come last. A blade makes one backup at a time, so one may wait for another. By
 * the clock of this host: the blades go by their own. Pure.
 */
export function planNights(
  vms: readonly VmView[],
  known: KnownBackups,
  config: BackupConfig,
  now: number,
): PlannedNight[] {
  const nights = vms.map(vm => plan(vm, known, config, now)).sort(compareNights)
  const busyUntil = new Map<string, number>()
  return nights.map(night => {
    if (night.nextAt === 0 || night.expectedMs === 0) return night
    const begins = Math.max(night.nextAt, busyUntil.get(night.vm.blade) ?? 0)
    const expectedEndAt = begins + night.expectedMs
    busyUntil.set(night.vm.blade, expectedEndAt)
    return { ...night, expectedEndAt }
  })
}

function plan(vm: VmView, known: KnownBackups, config: BackupConfig, now: number): PlannedNight {
  const policy = known.policyOf(vm)
  const standing = known.standingOf(vm, now)
  const ownMs = jitterOf(vm.id, config.jitterMs)
  const expected = policy.mode !== 'off' && policy.vault !== ''
  const next = expected ? nextAfter(parseCron(policy.schedule), now - ownMs) : 0
  const isLost = vm.state === 'lost'
  return {
    vm,
    vault: policy.vault,
    mode: policy.mode,
    nextAt: next === 0 || isLost ? 0 : next + ownMs,
    expectedMs: median(
      known
        .pointsOf(vm.id)
        .slice(0, LAST)
        .map(point => point.durationMs),
    ),
    expectedEndAt: 0,
    standing,
    text: isLost ? `${standing.text}; ${vm.blade} does not report` : standing.text,
  }
}

function compareNights(a: PlannedNight, b: PlannedNight): number {
  const when = (night: PlannedNight) => (night.nextAt === 0 ? Number.POSITIVE_INFINITY : night.nextAt)
  if (when(a) !== when(b)) return when(a) < when(b) ? -1 : 1
  return a.vm.name < b.vm.name ? -1 : 1
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
