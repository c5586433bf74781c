import { utcTime } from '../../shared/domain/units.ts'
import type { Case, CaseCode, Severity } from '../diagnosis/case.ts'
import { where } from '../diagnosis/words.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { BACKUP_ALERTS } from './catalog-backup.ts'
import { HARDWARE_ALERTS } from './catalog-hardware.ts'
import { SERVICE_ALERTS } from './catalog-service.ts'

/**
 * What a person is told about one kind of case. The text answers, in this order: what and where (`title` and the
 * evidence), since when, are the VMs safe, what to do next.
 */
export interface AlertEntry {
  title(each: Case): string
  /** Are the VMs safe? One or two sentences. */
  vms(each: Case, snapshot: FleetSnapshot): string
  /** What to do next, in words. */
  next(each: Case, snapshot: FleetSnapshot): string
  /** What to type next. */
  nextCommand(each: Case, snapshot: FleetSnapshot): string
  /** Quiet while one of these is open at the same place: the cause is told, not each of its effects. */
  readonly dependsOn: readonly AlertCause[]
}

export interface AlertCause {
  readonly code: CaseCode
  /** Only when it is about the same thing (the same mirror, the same bond). */
  readonly sameSubject?: true
}

/** Every code has its entry, or this does not compile. */
export const CATALOG: Readonly<Record<CaseCode, AlertEntry>> = {
  ...HARDWARE_ALERTS,
  ...SERVICE_ALERTS,
  ...BACKUP_ALERTS,
}

/** An alert as it is stored, shown and sent. */
export interface AlertContent {
  readonly caseKey: string
  readonly code: CaseCode
  readonly severity: Severity
  /** Empty for a chassis or the fleet. */
  readonly blade: string
  readonly subject: string
  readonly title: string
  readonly text: string
  readonly nextCommand: string
  readonly blades: readonly string[]
}

/** The alert of a case, worded for the fleet as it is now. Names no age: the text changes only when the matter does. */
export function alertContent(each: Case, snapshot: FleetSnapshot): AlertContent {
  const entry = CATALOG[each.code]
  const sentences = [
    `${where(each)}: ${each.evidence.replace(/\.$/, '')} (since ${utcTime(each.openedAt)}).`,
    entry.vms(each, snapshot),
    entry.next(each, snapshot),
  ]
  return {
    caseKey: each.key,
    code: each.code,
    severity: each.severity,
    blade: each.scope === 'blade' ? each.scopeName : '',
    subject: each.subject === '' ? each.scopeName : each.subject,
    title: entry.title(each),
    text: sentences.filter(sentence => sentence !== '').join(' '),
    nextCommand: entry.nextCommand(each, snapshot),
    blades: each.blades,
  }
}
