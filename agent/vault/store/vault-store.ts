import { join } from 'node:path'
import type { Clock, IdSource } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { Logger } from '../../../shared/log.ts'
import { createFrameChecker } from '../format/frame-checker.ts'
import type { PointRef } from '../format/point.ts'
import type {
  BackupSession,
  BeginBackup,
  BootRecord,
  CheckOptions,
  CheckReport,
  PointSummary,
  Vault,
} from '../vault.ts'
import { createQueue } from './bounded.ts'
import { checkPoint } from './check.ts'
import { createClaims } from './claims.ts'
import { type CollectReport, collect } from './collect.ts'
import type { StoreContext } from './context.ts'
import { endIndexProblems, quarantine, raiseIndexProblem, raiseUnfitProblem } from './damage.ts'
import { checkVault, clearTemporary, makeVault } from './directory.ts'
import { createIntake, type Intake } from './intake.ts'
import { vaultLayout } from './layout.ts'
import { listPoints, listRefs, notListed, readPoint } from './listing.ts'
import { lockVault } from './lock.ts'
import type { VaultProblem } from './problems.ts'
import { type ProofReport, prove } from './proof.ts'
import { type PruneOptions, type PruneVerdict, prune } from './prune.ts'
import { createPointReader } from './reader.ts'
import { openRecords, type ScrubState } from './records.ts'
import type { RetentionPolicies } from './retention.ts'
import { type ScrubOptions, type ScrubReport, scrub } from './scrub.ts'
import type { Space } from './space.ts'
import { openUnproven } from './unproven.ts'
import { recordBooted, recordChecked } from './verdicts.ts'
import { createView } from './view.ts'

export interface VaultStoreOptions {
  readonly dir: string
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
  readonly run: CommandRunner
  /**
   * `create`: makes a vault of a missing or empty directory, and writes. `write`: the one writer of a vault that is
   * there. `read`: beside a writer, or without any right to write; refuses everything that would.
   */
  readonly access: 'create' | 'write' | 'read'
  /** Frames that are put come from this process and are not unpacked and hashed again. Default false. */
  readonly trusted?: boolean
  /** Backups coming in at once; default 4. */
  readonly maxSessions?: number
  /** New backups are refused when less of the file system than this is free; default 5. */
  readonly reservePercent?: number
  /** Who has leave to read it, in words; empty: nobody. A restore has begun then, and it is not dropped. Default: nobody. */
  readonly grantOf?: (ref: PointRef) => string
  /** Room of the file system of the vault; tests say what they like. */
  readonly space?: (path: string) => Promise<Space>
}

export interface StoreStatus extends Space {
  /** Compressed, of all chunks: as counted by the last collection, and what came since. */
  readonly storedBytes: number
  readonly chunks: number
  /** Of them: not unpacked and hashed yet. */
  readonly unproven: number
  readonly points: number
  readonly sessions: number
  readonly maxSessions: number
  readonly scrub: ScrubState
  /** 0: never. */
  readonly collectedAt: number
  readonly problems: readonly VaultProblem[]
  /** False: no new backups; a problem says why. */
  readonly accepts: boolean
}

/** A vault in a directory of this host, and its powers over itself. Those need the lock: access `write` or `create`. */
export interface VaultStore extends Vault {
  /** On behalf of a blade: its name stands in the manifest. */
  beginAs(request: BeginBackup, blade: string): Promise<BackupSession>
  /** What one blade may do and see; `isGranted` is asked at each call. */
  visibleTo(blade: string, isGranted: (ref: PointRef) => boolean): Vault
  summary(ref: PointRef): Promise<PointSummary>
  status(): Promise<StoreStatus>
  retention(): RetentionPolicies
  setRetention(policies: RetentionPolicies): void
  prune(options: PruneOptions): Promise<readonly PruneVerdict[]>
  /** `busy` while another one runs, as for scrub. */
  collect(options: { readonly dryRun: boolean; readonly signal: AbortSignal }): Promise<CollectReport>
  /** Goes on where the last one was stopped. */
  scrub(options: ScrubOptions): Promise<ScrubReport>
  /** Unpacks and hashes the unproven chunks; stops when a backup comes in. `busy` while another one runs. */
  prove(signal: AbortSignal): Promise<ProofReport>
  recordBoot(ref: PointRef, record: BootRecord): Promise<PointSummary>
}

/** More than the thread pool has threads gives nothing. */
const CHECKS_AT_ONCE = 4

/** Opens a vault. `not-found`, `busy` (another writer), `refused` (not empty and no vault), `version-mismatch`. */
export function openVaultStore(options: VaultStoreOptions): VaultStore {
  const layout = vaultLayout(options.dir)
  if (options.access === 'create') makeVault(layout)
  checkVault(layout)
  const lock = options.access === 'read' ? undefined : lockVault(join(layout.state, 'lock.sqlite'))
  if (lock !== undefined) clearTemporary(layout)
  const reader = createPointReader(layout, options.clock)
  const context: StoreContext = {
    layout,
    clock: options.clock,
    log: options.log,
    claims: createClaims(),
    frames: createFrameChecker(CHECKS_AT_ONCE),
    listing: createQueue(),
    naming: createQueue(),
    unproven: openUnproven(layout, { clock: options.clock, log: options.log }),
    records: openRecords(layout, { log: options.log, writable: lock !== undefined }),
    whyInUse: ref => options.grantOf?.(ref) || (reader.isInUse(ref) ? 'being read' : ''),
  }
  const needLock = (): void => {
    if (lock === undefined) throw new LifeboatError('refused', 'this vault is open for reading only')
  }
  const intake = createIntake(options, context)
  const beginAs = async (request: BeginBackup, blade: string): Promise<BackupSession> => {
    needLock()
    return await intake.begin(request, blade)
  }
  const store: VaultStore = {
    begin: request => beginAs(request, ''),
    beginAs,
    visibleTo: (blade, isGranted) => createView(store, blade, isGranted),
    points: vmId => listPoints(layout, context.records.problems.value(), vmId),
    summary: ref => readSummary(context, ref),
    manifest: reader.manifest,
    index: reader.index,
    chunks: reader.chunks,
    check: async (ref, options) => {
      const onChecked = (done: number, total: number): void => {
        reader.touch(ref)
        options.onProgress?.(done, total)
      }
      reader.touch(ref)
      return await check(context, ref, { ...options, onProgress: onChecked }, lock !== undefined)
    },
    status: () => readStatus(context, intake),
    retention: () => context.records.retention.value(),
    ...createPowers(context, needLock),
    close: async () => {
      await intake.abortAll()
      context.frames.close()
      lock?.release()
    },
  }
  return store
}

/** What a vault does to itself. */
function createPowers(context: StoreContext, needLock: () => void) {
  const single = createSingle()
  return {
    setRetention: policies => {
      needLock()
      context.records.retention.set(policies)
    },
    prune: async how => {
      if (!how.dryRun) needLock()
      return await prune(context, how)
    },
    collect: async how => {
      needLock()
      return await single.run('collection', () => collect(context, how))
    },
    scrub: async how => {
      needLock()
      return await single.run('scrub', () => scrub(context, how))
    },
    prove: async signal => {
      needLock()
      return await single.run('proof', () => prove(context, signal))
    },
    recordBoot: async (ref, record) => {
      needLock()
      await readSummary(context, ref)
      recordBooted(context.layout, ref, record)
      return await readSummary(context, ref)
    },
  } satisfies Pick<VaultStore, 'setRetention' | 'prune' | 'collect' | 'scrub' | 'prove' | 'recordBoot'>
}

async function readSummary(context: StoreContext, ref: PointRef): Promise<PointSummary> {
  const point = await readPoint(context.layout, context.records.problems.value(), ref)
  if (point === undefined) throw notListed(ref)
  return point
}

async function readStatus(context: StoreContext, intake: Intake): Promise<StoreStatus> {
  const space = await intake.lookAround()
  const collected = context.records.collect.value()
  const problems = context.records.problems.value()
  return {
    ...space,
    storedBytes: collected.bytes,
    chunks: collected.chunks,
    unproven: context.unproven.count,
    points: listRefs(context.layout).length,
    sessions: context.claims.sessions,
    maxSessions: intake.maxSessions,
    scrub: context.records.scrub.value(),
    collectedAt: collected.collectedAt,
    problems,
    accepts: !problems.some(({ code }) => code === 'vault-full'),
  }
}

async function check(
  context: StoreContext,
  ref: PointRef,
  options: CheckOptions,
  isNoted: boolean,
): Promise<CheckReport> {
  const { manifest } = await readSummary(context, ref)
  const found = await checkPoint(context, ref, options)
  // Without a manifest nobody knows which disks and indexes belong to it: that its chunks are good says little.
  const isHashed = options.depth !== 'quick' && manifest !== undefined
  if (isNoted) await noteCheck(context, ref, found, isHashed)
  return { chunks: found.chunks, bad: found.bad, problems: found.problems }
}

/** Collection, scrub and proof are each one at a time; beside each other they are fine. */
function createSingle() {
  const running = new Set<string>()
  return {
    run: async <T>(what: string, act: () => Promise<T>): Promise<T> => {
      if (running.has(what)) throw new LifeboatError('busy', `a ${what} runs already`)
      running.add(what)
      try {
        return await act()
      } finally {
        running.delete(what)
      }
    },
  }
}

async function noteCheck(
  context: StoreContext,
  ref: PointRef,
  found: Awaited<ReturnType<typeof checkPoint>>,
  isHashed: boolean,
): Promise<void> {
  for (const item of found.unreadable) raiseIndexProblem(context, item)
  for (const target of found.unfit) raiseUnfitProblem(context, ref, target)
  await quarantine(context, new Set(found.bad))
  if (found.unreadable.length > 0) return
  endIndexProblems(context, ref)
  const isWhole = found.bad.length + found.unfit.length === 0
  // Whoever sees that it was hashed shall be able to rely on it.
  if (isWhole && isHashed) recordChecked(context.layout, ref, context.clock.now())
}
