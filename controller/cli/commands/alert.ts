import type { Command } from 'commander'
import type { Alert } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { formatDuration } from '../../../shared/domain/units.ts'
import { type CliContext, show } from '../context.ts'
import { renderTable, renderTime } from '../render.ts'

/** `lifeboat alert list|show|ack` */
export function addAlertCommands(program: Command, context: CliContext): void {
  const alert = program.command('alert').description('what people are told')
  alert
    .command('list')
    .description('open alerts, worst first')
    .option('--all', 'also those that are over')
    .addHelpText(
      'after',
      '\nAll of one alert, with what to do next: lifeboat alert show a3. What each code means: README.md.\n\n' +
        'Examples:\n  lifeboat alert list\n  lifeboat alert list --all --output json',
    )
    .action(async (options: { all?: boolean }) => {
      const { alerts } = await context.admin().ask('listAlerts', { all: options.all ?? false })
      if (context.json()) context.print(JSON.stringify(alerts, undefined, 2))
      else context.print(renderAlerts(alerts, context.now(), options.all ? 'No alerts.' : undefined))
    })
  alert
    .command('show <alert>')
    .description('one alert: what, where, since when, are the VMs safe, what to do next')
    .addHelpText('after', '\nExample:\n  lifeboat alert show a3')
    .action(async (id: string) => {
      show(context, await context.admin().ask('getAlert', { id }), renderAlert)
    })
  alert
    .command('ack <alert>')
    .description('say that somebody is on it; it stays open until the cause is gone')
    .option('--note <text>', 'kept with it', '')
    .addHelpText(
      'after',
      '\nOf an operation that ended half way (operation-needs-admin) it says that it was put right, and\nends the alert.\n\n' +
        'Example:\n  lifeboat alert ack a3 --note "new disk ordered"',
    )
    .action(async (id: string, options: { note: string }) => {
      show(
        context,
        await context.admin().ask('acknowledgeAlert', { id, note: options.note }),
        found => `${found.id} is acknowledged by ${found.acknowledgedBy}`,
      )
    })
}

/**
 * A table; ages by `now`, epoch ms. A row fits 100 columns: each title begins with where it is, so that has no column of
 * its own, and the state has one only where they differ.
 */
export function renderAlerts(alerts: readonly Alert[], now: number, empty = 'No open alerts.'): string {
  const states = alerts.some(alert => stateOf(alert) !== 'open')
  return renderTable<Alert>(
    [
      { title: 'ALERT', value: alert => alert.id },
      { title: 'SEVERITY', value: alert => alert.severity },
      { title: 'AGE', value: alert => formatDuration(Math.max(0, now - alert.since)) },
      ...(states ? [{ title: 'STATE', value: stateOf }] : []),
      { title: 'CODE', value: alert => alert.code },
      { title: 'TITLE', value: alert => alert.title },
    ],
    alerts,
    empty,
  )
}

function stateOf(alert: Alert): string {
  if (alert.clearedAt > 0) return 'over'
  return alert.acknowledgedAt > 0 ? 'acked' : 'open'
}

function renderAlert(alert: Alert): string {
  const lines = [
    `${alert.id} ${alert.severity}: ${alert.title} (${alert.code})`,
    '',
    alert.text,
    '',
    `Told since ${renderTime(alert.since)} (time of this terminal)`,
  ]
  const isOver = alert.clearedAt > 0
  if (isOver) lines.push(`Over since ${renderTime(alert.clearedAt)}`)
  if (alert.acknowledgedAt > 0)
    lines.push(`Acknowledged by ${alert.acknowledgedBy} at ${renderTime(alert.acknowledgedAt)}`)
  // Of what is over there is nothing left to do.
  if (alert.nextCommand !== '' && !isOver) lines.push(`Next: ${alert.nextCommand}`)
  return lines.join('\n')
}
