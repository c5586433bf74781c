import type { Fact } from '../../shared/domain/health.ts'
import { HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'

export const SEVERITIES = { info: 0, moderate: 1, severe: 2 } as const
export type Severity = keyof typeof SEVERITIES

export const CASE_CODES = {
  'mirror-degraded': 'a mirror runs on fewer disks than at enrolment',
  'mirror-survivor-failing': 'a degraded mirror whose remaining disk has errors too',
  'mirror-missing': 'a mirror that was there at enrolment is not there',
  'bond-member-down': 'a bond runs on fewer links than at enrolment',
  'bond-down': 'a bond has no link left',
  'bond-partner-short': 'the switch bundles fewer ports than the bond has',
  'bond-slow': 'a link of a bond runs below its speed at enrolment',
  'bond-missing': 'a bond that was there at enrolment is not there',
  'power-degraded': 'a chassis has lost a power supply, and can do without',
  'power-insufficient': 'a chassis has fewer power supplies than it needs',
  'power-predictive-failure': 'a power supply foretells its failure',
  'sensor-unreadable': 'something cannot be read, which is not the same as bad (rule 9)',
  'blade-silent': 'a blade does not report',
  'common-cause': 'so many blades look bad at once that one cause is likely (rule 10)',
  'vm-runs-twice': 'a VM is reported running by two blades',
  'vm-name-ambiguous': 'two VMs of the fleet have the same name',
  'evacuation-incomplete': 'an evacuation ended and VMs are left on the blade',
  'operation-needs-admin': 'an operation ended half way',
  'n-plus-one-lost': 'should a certain blade die, not all its VMs would find a place',
  'rule-not-kept': 'VMs are not where a placement rule wants them',
  'rule-name-unknown': 'a placement rule names what is not there',
  'agent-version': 'an agent was refused for its protocol version',
  'backup-overdue': 'the newest restore point of a VM is too old',
  'backup-failed': 'the backup of a VM failed several times in a row',
  'vault-unreachable': 'a vault does not answer',
  'vault-full': 'a vault takes no new backups, or soon will not',
  'vault-clock-off': 'the clock of a vault differs from the others',
  'chunk-corrupt': 'a vault found data of restore points damaged',
  'restore-point-damaged': 'a restore point cannot be restored as it is',
  'boot-test-failed': 'a restored VM showed no sign of life',
  'boot-test-left': 'a VM of a boot test was not removed again',
} as const
export type CaseCode = keyof typeof CASE_CODES

/**
 * What is wrong with the disks and links of one blade, as against its chassis, its sensors, or its silence. Health
 * (fleet/health.ts) and the brakes (evacuation/brakes.ts) both build on this list: a new code belongs here once.
 */
export const BLADE_HARDWARE_CODES: readonly CaseCode[] = [
  'mirror-degraded',
  'mirror-survivor-failing',
  'mirror-missing',
  'bond-member-down',
  'bond-down',
  'bond-partner-short',
  'bond-slow',
  'bond-missing',
]

/** What is believed to be wrong now. At most one per key. */
export interface Finding {
  /**
   * `mirror-degraded/blade03/md0`: code, scope, subject. Power leaves the subject out (`power-degraded/chassis1`):
   * a second supply that fails belongs to the same case, not to a new one.
   */
  readonly key: string
  readonly code: CaseCode
  readonly severity: Severity
  /** A case of a chassis is one case, however many blades see it. */
  readonly scope: 'blade' | 'chassis' | 'vault' | 'fleet'
  /** Name of the blade, chassis or vault; empty for the fleet. */
  readonly scopeName: string
  /** All blades it covers, sorted. */
  readonly blades: readonly string[]
  /** md0, bond0, `PS2, PS3`, … */
  readonly subject: string
  /** What was seen, in words for the alert: "lost leg1, 1 of 2 disks left (leg0)". */
  readonly evidence: string
  /** What the fact itself says of when it began, or the time it was first seen. */
  readonly observedAt: number
}

/** A finding over time. Stored; one open case per key. */
export interface Case extends Finding {
  readonly id: string
  readonly openedAt: number
  /** Last time it was found. */
  readonly lastFoundAt: number
  /** Since when it has not been found; 0 while it is. */
  readonly quietSince: number
  readonly closedAt: number
}

/** What a blade had when it was enrolled: a missing part is a fact only against this. */
export interface Baseline {
  readonly takenAt: number
  readonly mirrors: readonly { readonly name: string; readonly devices: readonly string[] }[]
  readonly bonds: readonly {
    readonly name: string
    readonly nics: readonly string[]
    readonly speedMbps: number
  }[]
  readonly supplies: readonly string[]
}

/** Everything the diagnosis of one blade may look at. */
export interface BladeEvidence {
  readonly blade: string
  readonly chassis: string
  readonly facts: readonly Fact[]
  readonly baseline: Baseline | undefined
  /**
   * False when a probe did not answer in time: then a mirror or bond that is not listed is not seen, which is not
   * the same as not there. Default true.
   */
  readonly complete?: boolean
}

/** How long something must be seen, or not be seen, before a case opens or closes. */
export interface Holds {
  /** Milliseconds without the finding before the case closes. */
  readonly clearMs: number
  /** Milliseconds the finding must last before a case opens; what is not listed opens at once. */
  readonly assertMs: Readonly<Partial<Record<CaseCode, number>>>
}

/**
 * 30 s clear: ten looks at a link or mirror; what comes and goes within that is one case, one alert.
 * 8 s for a sensor: a mirror or bond must fail to be read three times in a row. (The supplies of a chassis are guarded
 * against one bad answer otherwise: no blade of it may be able to read them.) More would hide a dead sensor too long.
 * 12 s for a VM on two blades: two reports of each. When an administrator migrates it by virsh, the target says that it
 * runs a second or two before the source says that it does not.
 * 60 s for N+1: while a VM moves, its room is taken at both ends.
 * 150 s for a vault: three looks in a row, longer than it takes to restart its host's service.
 * 6 h for the VM of a boot test: as long as its agent may be at it when the controller has given it up.
 */
export const DEFAULT_HOLDS: Holds = {
  clearMs: 30_000,
  assertMs: {
    'sensor-unreadable': 8_000,
    'vm-runs-twice': 12_000,
    'n-plus-one-lost': 60_000,
    'vault-unreachable': 150_000,
    'boot-test-left': 6 * HOUR_MS,
    // VMs that belong together move one after the other.
    'rule-not-kept': 10 * MINUTE_MS,
  },
}
