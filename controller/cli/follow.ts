import type { Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import type { CliContext } from './context.ts'
import { EXIT_CODES, exitCodeOfOperation } from './exit-codes.ts'
import { createRateMeter, type RateMeter } from './rate.ts'
import { renderKind, renderProgress, renderRoute } from './render.ts'

/** Has it not ended yet? */
export function isRunning(operation: Operation): boolean {
  return operation.state === 'running' || operation.state === 'aborting'
}

/**
 * Shows an operation until it has ended and sets the exit code by its outcome. Ctrl-C leaves: the operation goes on
 * in the controller, and the note says how to come back to it or to stop it.
 */
export async function followOperation(context: CliContext, operation: Operation): Promise<Operation> {
  const meter = createRateMeter()
  let latest = operation
  if (isRunning(operation)) {
    for await (const next of context.admin().watch(operation.id, context.interrupted)) {
      latest = next
      const rate = meter.tell(context.now(), next.doneBytes, next.totalBytes)
      context.progress(phaseOf(next), joined([renderProgress(next.doneBytes, next.totalBytes), rate]))
    }
  }
  if (isRunning(latest)) {
    context.note(
      `${latest.id} goes on without you. Watch it: lifeboat operation watch ${latest.id}; stop it: lifeboat operation abort ${latest.id}`,
    )
    return latest
  }
  context.exitWith(exitCodeOfOperation(latest.state))
  return latest
}

/**
 * The same for several at once: one line for all of them. The exit code is that of the worst. `what` names them in
 * that line: `backups`.
 */
export async function followOperations(
  context: CliContext,
  operations: readonly Operation[],
  what: string,
): Promise<readonly Operation[]> {
  const latest = new Map(operations.map(operation => [operation.id, operation]))
  const meter = createRateMeter()
  const follow = async ({ id }: Operation) => {
    for await (const next of context.admin().watch(id, context.interrupted)) {
      latest.set(id, next)
      const all = [...latest.values()]
      const ended = all.filter(each => !isRunning(each)).length
      const detail = joined([...groupProgress(all, meter, context.now()), nowAtWork(all)])
      context.progress(`${what}: ${ended} of ${all.length} ended`, detail)
    }
  }
  await Promise.all(operations.filter(isRunning).map(follow))
  const ended = [...latest.values()]
  const running = ended.filter(isRunning)
  if (running.length > 0) {
    const ids = running.map(({ id }) => id).join(' ')
    context.note(
      `${ids} ${running.length === 1 ? 'goes' : 'go'} on without you. See them: lifeboat operation list; stop one: lifeboat operation abort ${running[0]?.id}`,
    )
  }
  context.exitWith(worstExitCode(ended.filter(operation => !isRunning(operation))))
  return ended
}

function worstExitCode(operations: readonly Operation[]): number {
  const codes = operations.map(({ state }) => exitCodeOfOperation(state))
  if (codes.includes(EXIT_CODES.needsAdmin)) return EXIT_CODES.needsAdmin
  return codes.find(code => code !== EXIT_CODES.done) ?? EXIT_CODES.done
}

function sum(operations: readonly Operation[], value: (operation: Operation) => number): number {
  return operations.reduce((total, operation) => total + value(operation), 0)
}

function joined(parts: readonly string[]): string {
  return parts.filter(part => part !== '').join(', ')
}

/** Bytes and rate; a bar and the time left only when all have begun: those that wait do not tell their size. */
function groupProgress(operations: readonly Operation[], meter: RateMeter, now: number): string[] {
  const doneBytes = sum(operations, each => each.doneBytes)
  const totalBytes = sum(operations, each => each.totalBytes)
  if (operations.every(each => each.totalBytes > 0 || !isRunning(each))) {
    return [renderProgress(doneBytes, totalBytes), meter.tell(now, doneBytes, totalBytes)]
  }
  return [doneBytes > 0 ? formatBytes(doneBytes) : '', meter.tell(now, doneBytes, doneBytes)]
}

/** `web01 send, web02 snapshot`: those that do something, not those that wait. */
function nowAtWork(operations: readonly Operation[]): string {
  return operations
    .filter(isRunning)
    .flatMap(operation => {
      // `backup/send (blade01)`: which blade is no news here.
      const step = /^(?:.*\/)?(\S+)/.exec(stepOf(operation))?.[1] ?? ''
      return step === '' ? [] : [`${operation.vm} ${step}`]
    })
    .join(', ')
}

function stepOf(operation: Operation): string {
  return operation.steps.findLast(({ state }) => state === 'running' || state === 'undoing')?.name ?? ''
}

function joinedWords(words: readonly string[]): string {
  return words.filter(word => word !== '').join(' ')
}

/** `o7 move mail01 blade01 → blade02: send`, or `o9 evacuate blade01: 1 of 3 VMs moved` */
function phaseOf(operation: Operation): string {
  const what = joinedWords([operation.id, renderKind(operation), operation.vm, renderRoute(operation)])
  return `${what}: ${stepOf(operation) || operation.outcome || operation.state}`
}
