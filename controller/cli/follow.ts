import type { Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import type { CliContext } from './context.ts'
import { exitCodeOfOperation } from './exit-codes.ts'
import { renderProgress } from './render.ts'

/** Has it not ended yet? */
export function isRunning(operation: Operation): boolean {
  return operation.state === 'running' || operation.state === 'aborting'
}

/**
 * Shows an operation until it has ended and sets the exit code by its outcome. Ctrl-C leaves: the operation goes on
 * in the controller, and the note says how to come back to it or to stop it.
 */
export async function followOperation(context: CliContext, operation: Operation): Promise<Operation> {
  let latest = operation
  if (isRunning(operation)) {
    for await (const next of context.admin().watch(operation.id, context.interrupted)) {
      latest = next
      context.progress(phaseOf(next), renderProgress(next.doneBytes, next.totalBytes))
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

/** `o7 move mail01 blade01 → blade02: send`, or `o9 evacuate blade01: 1 of 3 VMs moved` */
function phaseOf(operation: Operation): string {
  const route = operation.to === '' ? operation.from : `${operation.from} → ${operation.to}`
  const step = operation.steps.findLast(({ state }) => state === 'running' || state === 'undoing')
  return [
    operation.id,
    operation.kind,
    operation.vm,
    `${route}:`,
    step?.name ?? (operation.outcome || operation.state),
  ]
    .filter(part => part !== '')
    .join(' ')
}
