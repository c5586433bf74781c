import type { Command } from 'commander'
import type { Operation, Step } from '../../../proto/gen/lifeboat/v1/admin.ts'
import type { Command as CommandRecord } from '../../../proto/gen/lifeboat/v1/types.ts'
import { formatBytes, formatDuration } from '../../../shared/domain/units.ts'
import { type CliContext, show } from '../context.ts'
import { followOperation, isRunning } from '../follow.ts'
import { renderKind, renderRoute, renderSection, renderTable, renderTime } from '../render.ts'

const NONE_RUNNING = 'Nothing is being worked on.'

/** `lifeboat operation list|show|watch|abort` */
export function addOperationCommands(program: Command, context: CliContext): void {
  const operation = program.command('operation').description('pieces of work, each with steps and an outcome')
  operation
    .command('list')
    .description('what is being worked on')
    .option('--all', 'also what has ended')
    .option('--blade <name>', 'only what touches this blade', '')
    .option('--vm <name>', 'only what touches this VM', '')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat operation list\n  lifeboat operation list --all --vm mail01',
    )
    .action(async (options: { all?: boolean; blade: string; vm: string }) => {
      const { operations } = await context
        .admin()
        .ask('listOperations', { all: options.all ?? false, blade: options.blade, vm: options.vm })
      if (context.json()) context.print(JSON.stringify(operations, undefined, 2))
      else context.print(renderOperations(operations, options.all ? 'No operations.' : NONE_RUNNING))
    })
  operation
    .command('show <operation>')
    .description('steps, outcome, downtime, and every command that was run')
    .addHelpText('after', '\nExample:\n  lifeboat operation show o7')
    .action(async (id: string) => {
      show(context, await context.admin().ask('getOperation', { id }), renderOperation)
    })
  operation
    .command('watch <operation>')
    .description('follow it to its end; Ctrl-C leaves it running')
    .addHelpText('after', '\nExample:\n  lifeboat operation watch o7')
    .action(async (id: string) => {
      const ended = await followOperation(context, await context.admin().ask('getOperation', { id }))
      if (!isRunning(ended) || context.json()) show(context, ended, renderOperation)
    })
  operation
    .command('abort <operation>')
    .description('stop it and put everything back, as far as it can go back')
    .addHelpText('after', '\nExample:\n  lifeboat operation abort o7')
    .action(async (id: string) => {
      show(
        context,
        await context.admin().ask('abortOperation', { id }),
        found => `${found.id} is ${found.state}. Watch it: lifeboat operation watch ${found.id}`,
      )
    })
}

/**
 * What a command that begins one operation does with it: follow it to its end, unless told not to, and show it. `hint`:
 * what a person may want next, as the last line; empty: nothing.
 */
export async function finishOperation(
  context: CliContext,
  operation: Operation,
  wait: boolean,
  hint: (latest: Operation) => string = () => '',
): Promise<void> {
  const latest = wait ? await followOperation(context, operation) : operation
  // Who left by Ctrl-C has the note; half an operation below it would only push it out of sight.
  if (wait && isRunning(latest) && !context.json()) return
  show(context, latest, shown =>
    [renderOperation(shown), hint(shown)].filter(text => text !== '').join('\n\n'),
  )
}

/** A table, one line each; `empty` when there is none. */
export function renderOperations(operations: readonly Operation[], empty = NONE_RUNNING): string {
  return renderTable<Operation>(
    [
      { title: 'OPERATION', value: operation => operation.id },
      { title: 'KIND', value: renderKind },
      { title: 'STATE', value: operation => operation.state },
      { title: 'VM', value: operation => operation.vm },
      { title: 'FROM', value: operation => operation.from },
      { title: 'TO', value: operation => operation.to },
      { title: 'STARTED', value: operation => renderTime(operation.startedAt) },
      { title: 'OUTCOME', value: operation => operation.outcome },
    ],
    operations,
    empty,
  )
}

/** One operation with its steps and every command that was run. */
export function renderOperation(operation: Operation): string {
  const took =
    operation.endedAt > 0 ? `, took ${formatDuration(operation.endedAt - operation.startedAt)}` : ''
  const lines = [
    `${operation.id}: ${[renderKind(operation), operation.vm, renderRoute(operation), operation.method].filter(part => part !== '').join(' ')}`,
    `  ${operation.state}${took}${operation.outcome === '' ? '' : `: ${operation.outcome}`}`,
    `  why: ${operation.cause || '-'} (${operation.requestedBy || '-'}${operation.plan === '' ? '' : `, plan ${operation.plan}`})`,
  ]
  if (operation.method === 'live' && operation.endedAt > 0) {
    lines.push(
      `  downtime ${operation.downtimeMs} ms (libvirt's figure), handover ${operation.handoverMs} ms, ${formatBytes(operation.totalBytes)} copied`,
    )
  }
  if (operation.point !== '') lines.push(`  ${renderPointOf(operation)}`)
  if (operation.nextCommand !== '') lines.push(`  next: ${operation.nextCommand}`)
  if (operation.children.length > 0) lines.push(`  consists of: ${operation.children.join(' ')}`)
  return [
    ...lines,
    ...renderSection('Steps:', renderSteps(operation.steps)),
    ...renderSection('Commands:', operation.commands.map(renderCommand)),
  ].join('\n')
}

function renderPointOf({ kind, point, pauseMs, recoveryMs, endedAt }: Operation): string {
  const paused = kind === 'backup' && endedAt > 0 ? `, the VM stood still for ${formatDuration(pauseMs)}` : ''
  const recovery = recoveryMs > 0 ? `, ran again ${formatDuration(recoveryMs)} after the restore began` : ''
  return `restore point ${point}${paused}${recovery}`
}

function renderSteps(steps: readonly Step[]): string[] {
  return steps.map(step => {
    const took = step.endedAt > 0 ? ` (${formatDuration(step.endedAt - step.startedAt)})` : ''
    return `${step.name}: ${step.state}${took}${step.error === '' ? '' : `: ${step.error}`}`
  })
}

function renderCommand(command: CommandRecord): string {
  const result = command.exitCode === 0 ? 'ok' : `exit ${command.exitCode} ${command.stderrTail.trim()}`
  return `${command.blade === '' ? '' : `${command.blade}: `}${command.argv.join(' ')}  [${result}, ${formatDuration(command.durationMs)}]`
}
