import { parseCron } from '../../shared/cron.ts'
import { type BackupHistory, nextBackupAt } from './due.ts'
import { type BackupSettings, modeOf, scheduleOf } from './settings.ts'

/**
 * What a backup that failed means for the night, for the log of the blade: when it is tried again by itself, and what
 * there is until then. Empty where nothing is tried. Pure.
 */
export function nextTryWords(
  vmId: string,
  settings: BackupSettings,
  history: BackupHistory | undefined,
  now: number,
): string {
  if (history === undefined || settings.vault === undefined || modeOf(settings, vmId) === 'off') return ''
  const cron = parseCron(scheduleOf(settings, vmId))
  const at = nextBackupAt({ id: vmId, cron, jitterMs: settings.jitterMs, history }, now)
  if (at === 0) return ''
  const { lastSuccessAt } = history
  const kept =
    lastSuccessAt === 0
      ? 'this blade has made no restore point of it yet'
      : `its newest restore point is of ${utc(lastSuccessAt)}`
  return `; tried again by itself at ${utc(at)}, until then ${kept}`
}

function utc(at: number): string {
  return `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}
