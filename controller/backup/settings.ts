import * as z from 'zod'
import { section } from '../../shared/config.ts'
import { isCron } from '../../shared/cron.ts'
import { BACKUP_MODES, type BackupMode, BOOT_SIGNS, type BootSign } from '../../shared/domain/backup.ts'
import { HOUR_MS, MIB, MINUTE_MS, SECOND_MS } from '../../shared/domain/units.ts'

/** How many restore points of a VM are kept. */
export interface Keep {
  readonly last: number
  readonly daily: number
  readonly weekly: number
  readonly monthly: number
}

/** `[backup]` of controller.toml. */
export interface BackupConfig {
  /** Name of the vault; empty: the only one there is. */
  readonly vault: string
  /** Cron, by the clock of each blade. */
  readonly schedule: string
  readonly jitterMs: number
  readonly mode: BackupMode
  /** @default 5 s (rule 2) */
  readonly pauseBudgetMs: number
  /** Of what is read on each blade, per second; 0: none. */
  readonly rateLimitBytes: number
  /** A VM whose newest restore point is older than that is overdue. */
  readonly overdueMs: number
  readonly keep: Keep
  readonly bootTest: {
    /** 0: none. */
    readonly perNight: number
    /** Cron, by the clock of the controller. */
    readonly schedule: string
    /** How long a restored VM may take to its sign of life. */
    readonly bootLimitMs: number
    readonly sign: BootSign
  }
  /** `[[backup.vm]]`: what one VM has of its own, by its name. */
  readonly vms: readonly VmBackupConfig[]
}

export interface VmBackupConfig {
  readonly name: string
  readonly mode: BackupMode | undefined
  readonly schedule: string | undefined
  readonly keep: Partial<Keep>
}

const modes = Object.keys(BACKUP_MODES) as [BackupMode, ...BackupMode[]]
const signs = Object.keys(BOOT_SIGNS) as [BootSign, ...BootSign[]]
const cron = z.string().refine(isCron, "must be five fields of cron, as in '0 2 * * *'")
const count = z.int().min(0).max(10_000)

const VM = z.strictObject({
  name: z.string().min(1),
  mode: z.enum(modes).optional(),
  schedule: cron.optional(),
  keep_last: count.optional(),
  keep_daily: count.optional(),
  keep_weekly: count.optional(),
  keep_monthly: count.optional(),
})

const FILE = section({
  vault: z.string().default(''),
  schedule: cron.default('0 2 * * *'),
  jitter_min: z.number().min(0).max(1440).default(30),
  mode: z.enum(modes).default('freeze'),
  pause_budget_s: z.number().min(1).max(60).default(5),
  rate_limit_mib_s: z.number().min(0).max(100_000).default(0),
  overdue_h: z.number().min(1).max(8760).default(36),
  keep_last: count.default(3),
  keep_daily: count.default(7),
  keep_weekly: count.default(4),
  keep_monthly: count.default(6),
  boot_test: section({
    per_night: z.int().min(0).max(100).default(1),
    schedule: cron.default('0 5 * * *'),
    boot_limit_s: z.number().min(10).max(7200).default(300),
    sign: z.enum(signs).default('any'),
  }),
  vm: z.array(VM).default([]),
})

/** The section as the file has it: to be part of the whole schema. Every problem is told at once. */
export const BACKUP_SECTION = FILE.superRefine((file, context) => {
  const keeps = file.keep_last + file.keep_daily + file.keep_weekly + file.keep_monthly
  if (keeps === 0) {
    context.addIssue({
      code: 'custom',
      path: ['keep_last'],
      message: 'something must be kept: all four are 0',
    })
  }
  file.vm.forEach((vm, index) => {
    if (file.vm.findIndex(other => other.name === vm.name) !== index) {
      const message = `'${vm.name}' has a [[backup.vm]] already`
      context.addIssue({ code: 'custom', path: ['vm', index, 'name'], message })
    }
    const keep = { ...keepOf(file), ...ownKeep(vm) }
    if (keeps > 0 && Object.values(keep).every(value => value === 0)) {
      const message = 'something must be kept: all four are 0'
      context.addIssue({ code: 'custom', path: ['vm', index, 'keep_last'], message })
    }
  })
})

/** Checked and in milliseconds and bytes. */
export function toBackupConfig(file: z.output<typeof BACKUP_SECTION>): BackupConfig {
  return {
    vault: file.vault,
    schedule: file.schedule,
    jitterMs: file.jitter_min * MINUTE_MS,
    mode: file.mode,
    pauseBudgetMs: file.pause_budget_s * SECOND_MS,
    rateLimitBytes: Math.round(file.rate_limit_mib_s * MIB),
    overdueMs: file.overdue_h * HOUR_MS,
    keep: keepOf(file),
    bootTest: {
      perNight: file.boot_test.per_night,
      schedule: file.boot_test.schedule,
      bootLimitMs: file.boot_test.boot_limit_s * SECOND_MS,
      sign: file.boot_test.sign,
    },
    vms: file.vm.map(vm => ({
      name: vm.name,
      mode: vm.mode,
      schedule: vm.schedule,
      keep: ownKeep(vm),
    })),
  }
}

function keepOf(file: Record<`keep_${keyof Keep}`, number>): Keep {
  return {
    last: file.keep_last,
    daily: file.keep_daily,
    weekly: file.keep_weekly,
    monthly: file.keep_monthly,
  }
}

/** Only what is said. */
function ownKeep(vm: z.output<typeof VM>): Partial<Keep> {
  const said = { last: vm.keep_last, daily: vm.keep_daily, weekly: vm.keep_weekly, monthly: vm.keep_monthly }
  return Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined))
}

/** For CONFIG_TEMPLATE: every key with its default. */
export const BACKUP_TEMPLATE = `[backup]
# vault = ""                  # its name, when there is more than one
# schedule = "0 2 * * *"      # cron, by the clock of each blade; kept there, so nights go on without the controller
# jitter_min = 30             # each VM begins at a moment of its own within it
# mode = "freeze"             # the guest agent freezes, without one the VM is paused; "pause", "crash", "off"
# pause_budget_s = 5          # a VM that was made to stand runs again after this long, whatever happens
# rate_limit_mib_s = 0        # of what each blade reads; 0: none
# overdue_h = 36              # a newest restore point older than that is an alert
# keep_last = 3
# keep_daily = 7
# keep_weekly = 4
# keep_monthly = 6

[backup.boot_test]
# per_night = 1               # restore points that are restored, booted and removed again each night; 0: none
# schedule = "0 5 * * *"      # cron, by the clock of the controller
# boot_limit_s = 300
# sign = "any"                # of life: "guest-agent", "console", or whichever is first

# [[backup.vm]]               # what one VM has of its own; \`lifeboat vm tag VM backup=MODE\` goes before its mode
#   name = "db01"
#   schedule = "0 */6 * * *"
#   keep_last = 8
`
