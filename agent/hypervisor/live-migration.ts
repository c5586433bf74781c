import type { Clock } from '../../shared/clock.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import { actToState } from './domain-actions.ts'
import { type MigrationStanding, readMigrationStanding } from './domain-standing.ts'
import type { MigrateOptions, MigrationSockets, MigrationStatistics } from './hypervisor.ts'
import { migrateWords, parseJobInfo, progressOf, statisticsOf } from './migration.ts'
import { type Virsh, virshComplaint } from './virsh-command.ts'
import { isMigratedAway, isOffForUnknownReason, isPausedByMigration, toVmState } from './virsh-text.ts'

/** Each question takes its share of the blade, which the migration needs itself. */
const POLL_MS = 4 * SECOND_MS
const SLOW_POLL_MS = 5 * SECOND_MS
const SLOW_AFTER_MS = 30 * SECOND_MS
/** QEMU ends a cancelled migration within a second; a dead connection costs libvirt its keepalive of 30 s. */
const CANCEL_LIMIT_MS = 60 * SECOND_MS
/** Asked for again as long as it lasts: before the job exists and in some of its phases libvirt refuses. */
const CANCEL_POLL_MS = SECOND_MS

export interface MigrationContext {
  /** Whether this libvirt can leave all-zero blocks out of a copy; without it a copy is only longer. */
  detectsZeroes(): Promise<boolean>
  readonly virsh: Virsh
  readonly uri: string
  readonly clock: Clock
  readonly log: Logger
}

/** Asks libvirt to cancel an outgoing migration and waits until it is gone. Idempotent; another job is left alone. */
export async function cancelOutgoing(
  context: MigrationContext,
  id: string,
  run: CommandRunner,
): Promise<void> {
  const standing = await readMigrationStanding(context.virsh, id)
  if (standing.state === 'absent') throw new LifeboatError('not-found', `libvirt has no VM ${id}`)
  if (standing.migrating) await untilSettled(context, id, run)
}

/** See Hypervisor.migrate. */
export async function migrateLive(
  context: MigrationContext,
  id: string,
  sockets: MigrationSockets,
  options: MigrateOptions,
): Promise<MigrationStatistics> {
  await requireExecuting(context, id)
  const startedAt = context.clock.now()
  const { failure, stopped } = await runClient(context, id, sockets, options)
  // Whatever the client said, libvirt has the last word: the client can be killed while libvirt goes on and finishes.
  // One question on the good path: the VM stands still at the target until our caller has the answer.
  const standing = await untilSettled(context, id, failure === undefined ? undefined : options.run)
  if (endedAway(standing, failure)) {
    return statistics(context, id, standing, context.clock.now() - startedAt)
  }
  await resumeLeftPaused(context, id, standing, options.run)
  throw migrationError(id, standing, failure, stopped)
}

/** Off here, and off because it arrived there. A VM that its guest shut down meanwhile is off as well. */
function endedAway({ state }: MigrationStanding, failure: unknown): boolean {
  if (state === 'absent') return failure === undefined
  return isMigratedAway(state) || (failure === undefined && toVmState(state) === 'stopped')
}

async function requireExecuting(context: MigrationContext, id: string): Promise<void> {
  const { state, migrating } = await readMigrationStanding(context.virsh, id)
  if (state === 'absent') throw new LifeboatError('not-found', `libvirt has no VM ${id}`)
  if (migrating) throw new LifeboatError('busy', `a migration of ${id} is going on already`)
  const vmState = toVmState(state)
  if (vmState !== 'running' && vmState !== 'paused') {
    throw new LifeboatError('refused', `VM ${id} is ${vmState}; only a VM in memory can migrate live`)
  }
}

type Stopped = 'aborted' | 'timeout'

/** Runs `virsh migrate` to its end. Abort and time limit go to libvirt: ending the client alone would stop nothing. */
async function runClient(
  context: MigrationContext,
  id: string,
  sockets: MigrationSockets,
  options: MigrateOptions,
): Promise<{ failure: unknown; stopped: Stopped | undefined }> {
  const { clock, virsh } = context
  const zeroDetected = (await context.detectsZeroes()) ? options.disks : []
  const words = migrateWords(context.uri, id, sockets, zeroDetected)
  const kill = new AbortController()
  const ended = new AbortController()
  const client = options.run
    .run(virsh.argv(words), {
      timeoutMs: options.timeoutMs + CANCEL_LIMIT_MS,
      signal: kill.signal,
      okExitCodes: [0, 1],
    })
    .then(({ exitCode, stderr }) => (exitCode === 0 ? undefined : clientError(stderr)))
    .catch((error: unknown) => error)
    .finally(() => ended.abort())

  const startedAt = clock.now()
  let stopped: Stopped | undefined
  let stoppedAt = 0
  while (!ended.signal.aborted) {
    const elapsedMs = clock.now() - startedAt
    if (stopped !== undefined) {
      await abortJob(context, id, options.run)
      await clock.sleep(CANCEL_POLL_MS, ended.signal)
      if (clock.now() - stoppedAt >= CANCEL_LIMIT_MS) kill.abort()
    } else if (options.signal.aborted || elapsedMs >= options.timeoutMs) {
      stopped = options.signal.aborted ? 'aborted' : 'timeout'
      stoppedAt = clock.now()
    } else {
      const pauseMs = elapsedMs < SLOW_AFTER_MS ? POLL_MS : SLOW_POLL_MS
      const left = Math.max(1, options.timeoutMs - elapsedMs)
      await clock.sleep(Math.min(pauseMs, left), AbortSignal.any([ended.signal, options.signal]))
      // The end of the client is not to wait for an answer about its progress.
      if (!options.signal.aborted)
        await Promise.race([client, tellProgress(virsh, id, options, ended.signal)])
    }
  }
  return { failure: await client, stopped }
}

/** Best effort, never throws: a question that fails (the VM has just gone) says nothing about the migration. */
async function tellProgress(
  virsh: Virsh,
  id: string,
  options: MigrateOptions,
  ended: AbortSignal,
): Promise<void> {
  if (ended.aborted) return
  try {
    const progress = progressOf(parseJobInfo(await virsh.text(['domjobinfo', id, '--rawstats'])))
    if (progress !== undefined && !ended.aborted) options.onProgress(progress.doneBytes, progress.totalBytes)
  } catch {
    // Asked again in a moment; the client's own end decides.
  }
}

/** Never throws: whether it worked is seen by the job being gone. */
async function abortJob(context: MigrationContext, id: string, run: CommandRunner): Promise<void> {
  const answer = await context.virsh.answer(['domjobabort', id], { run }).catch((error: unknown) => ({
    ok: false,
    stderr: error instanceof Error ? error.message : String(error),
  }))
  if (!answer.ok) context.log.debug(`vm ${id}: libvirt did not cancel the migration`, { said: answer.stderr })
}

/**
 * Waits until libvirt has no migration of the VM any more. With `cancelWith` a migration that outlived its client is
 * cancelled. Throws `unavailable` when libvirt cannot tell within the limit: the caller must look again later.
 */
async function untilSettled(
  context: MigrationContext,
  id: string,
  cancelWith: CommandRunner | undefined,
): Promise<MigrationStanding> {
  const { clock, virsh } = context
  const startedAt = clock.now()
  let cause: unknown
  while (clock.now() - startedAt < CANCEL_LIMIT_MS) {
    const standing = await readMigrationStanding(virsh, id).catch((error: unknown) => {
      cause = error
      return undefined
    })
    if (standing !== undefined && !standing.migrating) return standing
    if (standing !== undefined && cancelWith !== undefined) await abortJob(context, id, cancelWith)
    await clock.sleep(CANCEL_POLL_MS)
  }
  throw new LifeboatError('unavailable', `cannot tell how the migration of ${id} ended`, { cause })
}

/**
 * libvirt pauses the source for the last phase and leaves it so when it loses track (its own restart in that phase).
 * Resuming is safe: the target waits, paused, for a word that only the caller of `migrate` gives, after it resolved.
 */
async function resumeLeftPaused(
  context: MigrationContext,
  id: string,
  standing: MigrationStanding,
  run: CommandRunner,
): Promise<void> {
  if (standing.state === 'absent' || !isPausedByMigration(standing.state)) return
  context.log.warn(`vm ${id}: paused => running, libvirt left it paused after a failed migration`)
  await actToState(context.virsh, id, ['resume'], 'running', run)
}

function statistics(
  context: MigrationContext,
  id: string,
  { completed }: MigrationStanding,
  durationMs: number,
): MigrationStatistics {
  const known = completed === undefined ? undefined : statisticsOf(completed, durationMs)
  if (known !== undefined) return known
  // The migration is done; not knowing how long the pause was must not undo it. The bound is true, if poor.
  context.log.warn(
    `vm ${id}: libvirt kept no statistics of the migration; its duration stands for the downtime`,
  )
  return { downtimeMs: durationMs, transferredBytes: 0, durationMs }
}

/** Always `command-failed`: what `virsh migrate` says of lost connections is about the target's libvirt, not ours. */
function clientError(stderr: string): LifeboatError {
  return new LifeboatError('command-failed', `virsh migrate failed: ${virshComplaint(stderr)}`)
}

function migrationError(
  id: string,
  { state }: MigrationStanding,
  failure: unknown,
  stopped: Stopped | undefined,
): LifeboatError {
  if (state === 'absent' || isOffForUnknownReason(state)) {
    // libvirtd was restarted while it finished the migration: it forgets why a VM went off, and with it the outcome.
    return new LifeboatError(
      'unavailable',
      `VM ${id} is off after its migration; only the target knows whether it arrived`,
      {
        cause: failure,
      },
    )
  }
  if (stopped === 'aborted') {
    return new LifeboatError('aborted', `the migration of ${id} was cancelled`, { cause: failure })
  }
  if (stopped === 'timeout') {
    return new LifeboatError('timeout', `the migration of ${id} did not end in time and was cancelled`, {
      cause: failure,
    })
  }
  if (failure instanceof LifeboatError && failure.code !== 'timeout' && failure.code !== 'aborted')
    return failure
  return new LifeboatError('command-failed', `the migration of ${id} failed`, { cause: failure })
}
