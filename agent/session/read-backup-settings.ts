import type { BackupSettings as WireSettings } from '../../proto/gen/lifeboat/v1/intake.ts'
import { isCron } from '../../shared/cron.ts'
import { BACKUP_MODES } from '../../shared/domain/backup.ts'
import { FieldReader } from '../../shared/wire/reader.ts'
import type { BackupSettings } from '../backup/settings.ts'

/** A guest that stands for longer than this is noticed; whatever asks for more is a mistake. */
const MOST_PAUSE_MS = 60_000

/** Off the wire; throws `bad-input` naming every bad field: settings are taken whole or not at all. */
export function readBackupSettings(wire: WireSettings): BackupSettings {
  const reader = new FieldReader()
  const schedule = (where: string, text: string): string => {
    if (!isCron(text)) reader.problem(where, `must be a schedule of five fields, got '${text}'`)
    return text
  }
  const settings: BackupSettings = {
    vault: wire.vault && {
      name: reader.text('vault.name', wire.vault.name),
      address: reader.text('vault.address', wire.vault.address),
    },
    schedule: schedule('schedule', wire.schedule),
    jitterMs: reader.whole('jitterMs', wire.jitterMs),
    mode: reader.oneOf('mode', wire.mode, BACKUP_MODES),
    pauseBudgetMs: reader.number('pauseBudgetMs', wire.pauseBudgetMs, MOST_PAUSE_MS),
    rateLimitBytes: reader.whole('rateLimitBytes', wire.rateLimitBytes),
    vms: reader.each('vms', wire.vms, (_reader, where, vm) => ({
      vmId: reader.text(`${where}.vmId`, vm.vmId),
      schedule: vm.schedule === '' ? '' : schedule(`${where}.schedule`, vm.schedule),
      mode: vm.mode === '' ? '' : reader.oneOf(`${where}.mode`, vm.mode, BACKUP_MODES),
    })),
  }
  reader.finish('the settings of backups')
  return settings
}
