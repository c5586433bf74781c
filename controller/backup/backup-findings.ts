import { formatBytes, formatDuration, HOUR_MS, MINUTE_MS, plural } from '../../shared/domain/units.ts'
import type { CaseCode, Finding, Severity } from '../diagnosis/case.ts'
import { bladeFinding, keyOf } from '../diagnosis/finding.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'
import type { BackupOutcome } from '../store/backups.ts'
import type { PointRecord } from '../store/points.ts'
import type { VaultRecord } from '../store/vaults.ts'
import type { KnownBackups } from './known.ts'
import { leftBootTests } from './left-boot-tests.ts'
import { failuresSince, type Standing } from './standing.ts'

export interface BackupFindingSources {
  readonly now: number
  readonly snapshot: FleetSnapshot
  readonly known: KnownBackups
  /** The newest of each VM first. */
  readonly outcomes: readonly BackupOutcome[]
  /** When this controller began to listen: what it knows may be days old, and the nights went on without it. */
  readonly listeningSince: number
}

/** One failure may be anything, and the agent tries again by itself; the second in a row is told. */
const FAILURES_TO_TELL = 2
/** How far a clock is off, in steps: an alert whose minutes move would be told anew each minute. */
const CLOCK_STEPS_MS = [5 * MINUTE_MS, 40 * MINUTE_MS, 3 * HOUR_MS, 20 * HOUR_MS]
/** New backups end at the reserve of the vault (5 %); this much before, somebody should know. */
const LOW_SHARE = 0.1
/** After a start, the vaults get this long to say what happened meanwhile. */
const HEARING_MS = 3 * MINUTE_MS
/** More names than that nobody reads. */
const NAMED = 5

/** What is wrong with backups: of VMs, of vaults, of what they keep. Pure. */
export function backupFindings(sources: BackupFindingSources): Finding[] {
  return [
    ...overdue(sources),
    ...failedAgain(sources),
    ...sources.known.vaults.flatMap(vault => vaultFindings(vault, sources)),
    ...damagedPoints(sources),
    ...failedBootTests(sources),
    ...leftBootTests(sources.snapshot, sources.now),
  ]
}

interface OverdueVm {
  readonly vm: VmView
  readonly standing: Standing
}

/** One case for each VM; for all of one blade, or for most of the fleet, one for the whole: the cause is one. */
function overdue({ now, snapshot, known, listeningSince }: BackupFindingSources): Finding[] {
  const { vault } = known
  if (vault === undefined) return []
  if (vault.seenAt < listeningSince && now - listeningSince < HEARING_MS) return []
  const expected = snapshot.vms.filter(vm => known.policyOf(vm).mode !== 'off')
  const late = expected
    .map((vm): OverdueVm => ({ vm, standing: known.standingOf(vm, now) }))
    .filter(({ standing }) => standing.overdue)
  const blades = [...new Set(late.map(({ vm }) => vm.blade))].sort()
  if (late.length > 2 && blades.length > 1 && late.length * 2 > expected.length) {
    return [
      ofVault(vault, 'backup-overdue', 'moderate', '', evidenceOf(late), { blades, at: oldest(late, now) }),
    ]
  }
  return blades.flatMap(blade => {
    const here = late.filter(({ vm }) => vm.blade === blade)
    const whole = here.length > 1 && here.length === expected.filter(vm => vm.blade === blade).length
    return whole
      ? [bladeFinding(blade, 'backup-overdue', 'moderate', '', seen(evidenceOf(here), oldest(here, now)))]
      : here.map(each => ofVm(each.vm, 'backup-overdue', evidenceOf([each]), oldest([each], now)))
  })
}

/** Points in time, not ages: the words change only when the matter does. */
function evidenceOf(late: readonly OverdueVm[]): string {
  const one = late.length === 1 ? late[0] : undefined
  if (one === undefined)
    return `${plural(late.length, 'VM')} without a fresh backup: ${named(late.map(({ vm }) => vm.name))}`
  const { newest } = one.standing
  return newest === undefined
    ? `${one.vm.name} was never backed up`
    : `the newest restore point of ${one.vm.name} is ${newest.point}`
}

function oldest(late: readonly OverdueVm[], now: number): number {
  return Math.min(now, ...late.map(({ standing }) => standing.newest?.at ?? now))
}

/** In a row, with no restore point since. */
function failedAgain({ snapshot, known, outcomes }: BackupFindingSources): Finding[] {
  const byVm = Map.groupBy(outcomes, outcome => outcome.vmId)
  return snapshot.vms.flatMap(vm => {
    const failed = failuresSince(byVm.get(vm.id) ?? [], known.pointsOf(vm.id))
    const [last] = failed
    if (last === undefined || failed.length < FAILURES_TO_TELL) return []
    return [
      ofVm(vm, 'backup-failed', `the backup of ${vm.name} fails again and again: ${last.text}`, last.at),
    ]
  })
}

function vaultFindings(vault: VaultRecord, sources: BackupFindingSources): Finding[] {
  if (vault.joinedAt === 0) return []
  const { status, error, failingSince, clockOffsetMs, seenAt } = vault
  const blades = bladesOf(vault, sources)
  const found = (code: CaseCode, severity: Severity, subject: string, evidence: string, at: number) =>
    ofVault(vault, code, severity, subject, evidence, { blades, at })
  const findings: Finding[] = []
  if (error !== '') findings.push(found('vault-unreachable', 'moderate', '', error, failingSince))
  // What it said before it went away is all there is to know of it, and still true as far as anybody knows.
  if (status === undefined) return findings
  const problems = Map.groupBy(status.problems, problem => problem.code)
  const full = problems.get('vault-full')?.[0]
  if (full !== undefined || !status.accepts) {
    const why = full?.text ?? status.problems[0]?.text ?? 'it takes no new backups'
    findings.push(found('vault-full', status.accepts ? 'moderate' : 'severe', '', why, full?.since ?? seenAt))
  } else if (status.sizeBytes > 0 && status.freeBytes < status.sizeBytes * LOW_SHARE) {
    const free = `less than ${LOW_SHARE * 100} % of its ${formatBytes(status.sizeBytes)} are free`
    findings.push(found('vault-full', 'moderate', '', free, seenAt))
  }
  const off = CLOCK_STEPS_MS.findLast(step => Math.abs(clockOffsetMs) > step)
  const told = problems.get('clock-off')?.[0]
  if (off !== undefined || told !== undefined) {
    const way = clockOffsetMs > 0 ? 'ahead of' : 'behind'
    const evidence =
      off === undefined
        ? (told?.text ?? '')
        : `its clock is more than ${formatDuration(off)} ${way} that of the controller`
    findings.push(found('vault-clock-off', 'moderate', '', evidence, seenAt))
  }
  const corrupt = problems.get('chunk-corrupt') ?? []
  if (corrupt.length > 0) {
    const chunks = named(corrupt.map(problem => shortId(problem.chunk)))
    const touched = touchedBy(corrupt, sources.known.points)
    const evidence = `${plural(corrupt.length, 'chunk')} corrupt (${chunks}), in ${touched}`
    const since = Math.min(...corrupt.map(problem => problem.since))
    findings.push(found('chunk-corrupt', 'severe', '', evidence, since))
  }
  return findings
}

type Problems = NonNullable<VaultRecord['status']>['problems']

/** `3 restore points: web01 20261128T020512Z, …` */
function touchedBy(problems: Problems, points: readonly PointRecord[]): string {
  const keys = [
    ...new Set(problems.flatMap(problem => problem.points.map(ref => `${ref.vmId} ${ref.point}`))),
  ]
  const names = new Map(points.map(point => [`${point.vmId} ${point.point}`, `${point.vm} ${point.point}`]))
  if (keys.length === 0) return 'no restore point'
  return `${plural(keys.length, 'restore point')}: ${named(keys.map(key => names.get(key) ?? key))}`
}

/** One case a VM. Those that a corrupt chunk touches are told with the chunk. */
function damagedPoints({ known, snapshot, now }: BackupFindingSources): Finding[] {
  const told = new Set(
    known.vaults
      .flatMap(vault => vault.status?.problems ?? [])
      .filter(problem => problem.code === 'chunk-corrupt')
      .flatMap(problem => problem.points.map(ref => `${ref.vmId} ${ref.point}`)),
  )
  const bad = known.points.filter(
    point => point.state !== 'whole' && !told.has(`${point.vmId} ${point.point}`),
  )
  return [...Map.groupBy(bad, point => `${point.vault} ${point.vmId}`).values()].flatMap(points => {
    const [newest] = points
    const vault = known.vaults.find(each => each.name === newest?.vault)
    if (newest === undefined || vault === undefined) return []
    const isNewest = known.pointsOf(newest.vmId)[0]?.point === newest.point
    const list = named(points.map(point => point.point))
    const evidence = `${plural(points.length, 'restore point')} of ${newest.vm} not whole (${list}): ${newest.stateText}`
    const blades = snapshot.vms.filter(vm => vm.id === newest.vmId).map(vm => vm.blade)
    const severity = isNewest ? 'severe' : 'moderate'
    return [ofVault(vault, 'restore-point-damaged', severity, newest.vm, evidence, { blades, at: now })]
  })
}

/** Until a newer test of that VM runs well, or nobody has the VM nor its restore points any more. */
function failedBootTests({ known, snapshot }: BackupFindingSources): Finding[] {
  return [...Map.groupBy(known.tests, test => test.vmId).values()].flatMap(tests => {
    const [newest] = tests
    if (newest === undefined || newest.ok) return []
    const vm = snapshot.vms.find(each => each.id === newest.vmId)
    const evidence = `restore point ${newest.point} of ${newest.vm} was not seen to boot: ${newest.error}`
    if (vm !== undefined) return [ofVm(vm, 'boot-test-failed', evidence, newest.at)]
    const vault = known.vaults.find(each => each.name === newest.vault)
    const kept = known.pointsOf(newest.vmId).some(point => point.point === newest.point)
    if (vault === undefined || !kept) return []
    return [
      ofVault(vault, 'boot-test-failed', 'moderate', newest.vm, evidence, { blades: [], at: newest.at }),
    ]
  })
}

/** The blades whose VMs are backed up there: what ails it concerns them all. */
function bladesOf(vault: VaultRecord, { known, snapshot }: BackupFindingSources): string[] {
  const vms = snapshot.vms.filter(vm => {
    const policy = known.policyOf(vm)
    return policy.mode !== 'off' && policy.vault === vault.name
  })
  return [...new Set(vms.map(vm => vm.blade))].sort()
}

/** Its key names no blade: a VM that moves stays the same case. */
function ofVm(vm: VmView, code: CaseCode, evidence: string, at: number): Finding {
  return {
    ...bladeFinding(vm.blade, code, 'moderate', vm.name, seen(evidence, at)),
    key: keyOf(code, '', vm.id),
  }
}

function ofVault(
  vault: VaultRecord,
  code: CaseCode,
  severity: Severity,
  subject: string,
  evidence: string,
  where: { readonly blades: readonly string[]; readonly at: number },
): Finding {
  return {
    key: keyOf(code, vault.name, subject),
    code,
    severity,
    scope: 'vault',
    scopeName: vault.name,
    blades: where.blades,
    subject,
    ...seen(evidence, where.at),
  }
}

function seen(evidence: string, observedAt: number): { evidence: string; observedAt: number } {
  return { evidence, observedAt }
}

/** Enough of a chunk's id to find it by; `vault status` and the store's folders begin with the same. */
function shortId(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 16)}…`
}

function named(names: readonly string[]): string {
  const shown = names.slice(0, NAMED).join(', ')
  return names.length <= NAMED ? shown : `${shown} and ${names.length - NAMED} more`
}
