import { LifeboatError } from '../../shared/errors.ts'
import type { MigrationSockets, MigrationStatistics } from './hypervisor.ts'
import { wholeNumber } from './virsh-text.ts'

/**
 * The words of `virsh migrate`. libvirt of the source drives the migration (--p2p), so it goes on when we die.
 *
 * --suspend: the target ends paused. libvirt resumes the source when the answer to its last message is lost, although
 * the target may have begun to run (qemuMigrationSrcPerformPeer2Peer3 leaves that window to a lock manager we do not
 * have). Paused there, whichever way it ends, the VM runs at most once (rule 1); our own hand-over resumes it.
 * No --undefinesource: the definition stays here until the target is confirmed (rule 3).
 * --auto-converge: a guest that writes memory faster than the link carries it is slowed down, and only then; a blade
 * that has to be emptied is worth a slow guest. Not --postcopy: it spreads the VM over two blades, one of them failing,
 * and losing either loses the VM. Not --timeout-suspend: a pause without a bound. Not
 * --copy-storage-synchronous-writes: each write of the guest would wait for the target's disk from the first byte on.
 * --migrate-disks-detect-zeroes (`zeroDetected`: those disks): QEMU cannot see the holes of an LV, so without it every
 * block never written travels as zeroes, and fills a thin volume at the target.
 */
export function migrateWords(
  uri: string,
  id: string,
  sockets: MigrationSockets,
  zeroDetected: readonly string[],
): readonly string[] {
  return [
    'migrate',
    '--live',
    '--p2p',
    '--persistent',
    '--suspend',
    '--copy-storage-all',
    '--auto-converge',
    ...(zeroDetected.length === 0 ? [] : ['--migrate-disks-detect-zeroes', zeroDetected.join(',')]),
    '--migrateuri',
    unixUri(sockets.memory),
    '--disks-uri',
    unixUri(sockets.disk),
    '--domain',
    id,
    '--desturi',
    destinationUri(uri, sockets.control),
  ]
}

/** A VM's name may hold anything but a slash; in a URI it may not. */
function unixUri(path: string): string {
  return `unix://${path.split('/').map(encodeURIComponent).join('/')}`
}

/** The same driver and mode as ours (`qemu:///system`), at the socket that the agent leads to the target. */
function destinationUri(uri: string, socket: string): string {
  const match = /^([a-z]+)(?:\+[a-z]+)?:\/\/[^/]*\/([a-z]+)/.exec(uri)
  return `${match?.[1] ?? 'qemu'}+unix:///${match?.[2] ?? 'system'}?socket=${socket}`
}

/** The answer of `virsh domjobinfo --rawstats`: libvirt's own names and numbers. */
export interface JobInfo {
  /** none, active (bounded or not), ended (completed, failed, cancelled). */
  readonly phase: 'none' | 'active' | 'ended'
  readonly fields: ReadonlyMap<string, number>
}

const OUTGOING_MIGRATION = 5
const PHASES: Readonly<Record<string, JobInfo['phase']>> = {
  '0': 'none',
  None: 'none',
  '1': 'active',
  Bounded: 'active',
  '2': 'active',
  Unbounded: 'active',
  '3': 'ended',
  Completed: 'ended',
  '4': 'ended',
  Failed: 'ended',
  '5': 'ended',
  Cancelled: 'ended',
}

/** Throws `bad-tool-output`. */
export function parseJobInfo(text: string): JobInfo {
  const type = /^Job type:\s*(\w+)/m.exec(text)?.[1]
  const phase = type === undefined ? undefined : PHASES[type]
  if (phase === undefined) {
    throw new LifeboatError('bad-tool-output', "cannot read the answer of 'virsh domjobinfo'", {
      details: [text.slice(0, 200)],
    })
  }
  const fields = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, key, value] = /^\s*([a-z_]+):\s*(-?\d+)\s*$/.exec(line) ?? []
    const number = wholeNumber(value)
    if (key !== undefined && number !== undefined) fields.set(key, number)
  }
  return { phase, fields }
}

/** A migration away from here, still going on. A job without an operation comes from an older libvirt: believed. */
export function isOutgoingMigration(job: JobInfo): boolean {
  return job.phase === 'active' && (job.fields.get('operation') ?? OUTGOING_MIGRATION) === OUTGOING_MIGRATION
}

/** Memory and disks together; undefined before libvirt has counted anything. Done is never more than total. */
export function progressOf(
  job: JobInfo,
): { readonly doneBytes: number; readonly totalBytes: number } | undefined {
  const totalBytes = job.fields.get('data_total') ?? 0
  if (totalBytes <= 0) return undefined
  // Pages that were written again are sent again: what was sent may exceed what there is.
  const doneBytes = Math.max(0, totalBytes - (job.fields.get('data_remaining') ?? totalBytes))
  return { doneBytes: Math.min(doneBytes, totalBytes), totalBytes }
}

/**
 * libvirt's statistics of the migration that just ended; undefined when it kept none (it forgets them when it restarts).
 *
 * `downtime` is the target's time of being ready minus the source's time of stopping, so it holds the difference of two
 * clocks. `downtime_net` leaves out the hand-over message and with it that difference. The hand-over takes
 * milliseconds: when the two are further apart than it may last, only the clocks can be the cause.
 */
export function statisticsOf(job: JobInfo, durationMs: number): MigrationStatistics | undefined {
  if (job.phase !== 'ended' || job.fields.get('operation') !== OUTGOING_MIGRATION) return undefined
  const gross = job.fields.get('downtime')
  const net = job.fields.get('downtime_net')
  const downtimeMs =
    gross === undefined || (net !== undefined && Math.abs(gross - net) > HAND_OVER_LIMIT_MS) ? net : gross
  if (downtimeMs === undefined) return undefined
  return {
    downtimeMs: Math.max(0, downtimeMs),
    transferredBytes: job.fields.get('data_processed') ?? 0,
    durationMs: Math.max(durationMs, downtimeMs),
  }
}
const HAND_OVER_LIMIT_MS = 1000

/** libvirt 10.9 brought zero detection for migrations. `version` is what `virsh --version` prints. */
export function canDetectZeroes(version: string): boolean {
  const [major = 0, minor = 0] = version.trim().split('.').map(Number)
  return major > 10 || (major === 10 && minor >= 9)
}
