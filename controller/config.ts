import { join } from 'node:path'
import * as z from 'zod'
import { readConfigFile, section } from '../shared/config.ts'
import { HOUR_MS, SECOND_MS } from '../shared/domain/units.ts'
import type { LogLevel } from '../shared/log.ts'
import { BACKUP_SECTION, BACKUP_TEMPLATE, type BackupConfig, toBackupConfig } from './backup/settings.ts'
import {
  PLACEMENT_SECTION,
  PLACEMENT_TEMPLATE,
  type PlacementConfig,
  toPlacementConfig,
} from './placement/settings.ts'

export const DEFAULT_CONFIG_PATH = '/etc/lifeboat/controller.toml'
const DEFAULT_STATE_DIR = '/var/lib/lifeboat/controller'
const DEFAULT_SOCKET = '/run/lifeboat/controller.sock'

/** Everything the controller may be told, checked and complete. */
export interface ControllerConfig {
  readonly listen: {
    /** host:port for agents and admin certificates; port 0 picks a free one. */
    readonly grpc: string
    /** UNIX socket for people on this host. */
    readonly socket: string
  }
  readonly stateDir: string
  readonly placement: PlacementConfig
  readonly evacuation: {
    /** False: cases only alert. @default true */
    readonly automatic: boolean
    /** How long a degraded mirror is watched before its blade is emptied. @default 60 s */
    readonly holdMs: number
    readonly mirrorDegraded: 'evacuate' | 'alert'
    readonly concurrentPerSource: number
    readonly concurrentPerTarget: number
    /** How long the source keeps its volumes after a move (rule 3). @default 24 h */
    readonly graceMs: number
    /** @default 1 h */
    readonly moveDeadlineMs: number
  }
  readonly liveness: {
    readonly reportIntervalMs: number
    readonly suspectAfterMs: number
    readonly silentAfterMs: number
  }
  readonly backup: BackupConfig
  readonly power: {
    /** 0: half of what was there at enrolment, rounded up. */
    readonly neededSupplies: number
  }
  readonly alerts: {
    /** Empty: none. */
    readonly webhook: string
  }
  readonly logLevel: LogLevel
}

const seconds = (least: number, most: number, fallback: number) =>
  z.number().min(least).max(most).default(fallback)
const whole = (least: number, most: number, fallback: number) =>
  z.int().min(least).max(most).default(fallback)
const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/

const FILE = z
  .strictObject({
    listen: section({
      grpc: z.string().regex(HOST_PORT, 'must be host:port, like 0.0.0.0:7420').default('0.0.0.0:7420'),
      socket: z.string().startsWith('/', 'must be an absolute path').default(DEFAULT_SOCKET),
    }),
    state: section({
      dir: z.string().startsWith('/', 'must be an absolute path').default(DEFAULT_STATE_DIR),
    }),
    placement: PLACEMENT_SECTION,
    evacuation: section({
      automatic: z.boolean().default(true),
      hold_s: seconds(0, 86_400, 60),
      mirror_degraded: z.enum(['evacuate', 'alert']).default('evacuate'),
      concurrent_per_source: whole(1, 16, 2),
      concurrent_per_target: whole(1, 16, 2),
      grace_h: z.number().min(0).max(720).default(24),
      move_deadline_s: seconds(10, 604_800, 3600),
    }),
    liveness: section({
      report_interval_s: seconds(0.1, 300, 5),
      suspect_after_s: seconds(0.2, 3600, 15),
      silent_after_s: seconds(0.3, 7200, 30),
    }),
    backup: BACKUP_SECTION,
    power: section({ needed_supplies: whole(0, 64, 0) }),
    alerts: section({
      webhook: z
        .union([z.literal(''), z.url({ protocol: /^https?$/ })], 'must be empty or an http(s) URL')
        .default(''),
    }),
    log: section({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }),
  })
  .refine(file => file.liveness.report_interval_s < file.liveness.suspect_after_s, {
    path: ['liveness', 'suspect_after_s'],
    message: 'must be more than report_interval_s, or every blade is always late',
  })
  .refine(file => file.liveness.suspect_after_s < file.liveness.silent_after_s, {
    path: ['liveness', 'silent_after_s'],
    message: 'must be more than suspect_after_s',
  })

const CONFIG = FILE.transform(
  (file): ControllerConfig => ({
    listen: file.listen,
    stateDir: file.state.dir,
    placement: toPlacementConfig(file.placement),
    evacuation: {
      automatic: file.evacuation.automatic,
      holdMs: file.evacuation.hold_s * SECOND_MS,
      mirrorDegraded: file.evacuation.mirror_degraded,
      concurrentPerSource: file.evacuation.concurrent_per_source,
      concurrentPerTarget: file.evacuation.concurrent_per_target,
      graceMs: file.evacuation.grace_h * HOUR_MS,
      moveDeadlineMs: file.evacuation.move_deadline_s * SECOND_MS,
    },
    liveness: {
      reportIntervalMs: file.liveness.report_interval_s * SECOND_MS,
      suspectAfterMs: file.liveness.suspect_after_s * SECOND_MS,
      silentAfterMs: file.liveness.silent_after_s * SECOND_MS,
    },
    backup: toBackupConfig(file.backup),
    power: { neededSupplies: file.power.needed_supplies },
    alerts: file.alerts,
    logLevel: file.log.level,
  }),
)

/** Reads the file; a missing one is all defaults. Throws `bad-config` with every problem. */
export function readControllerConfig(path: string): ControllerConfig {
  return readConfigFile(path, CONFIG, 'empty')
}

/** The configuration as data, checked as the file is; for fleets that are only simulated. */
export function checkControllerConfig(value: unknown): z.ZodSafeParseResult<ControllerConfig> {
  return CONFIG.safeParse(value)
}

/** All defaults, for tests and the simulation to start from. */
export function defaultControllerConfig(): ControllerConfig {
  return CONFIG.parse({})
}

/** The one SQLite file of the controller. */
export function databasePath(config: ControllerConfig): string {
  return join(config.stateDir, 'controller.sqlite')
}

/** What `lifeboat-controller init` writes: every key with its default, commented out. */
export const CONFIG_TEMPLATE = `# Lifeboat controller. Every key is optional; the values shown are the defaults.
# After a change: systemctl restart lifeboat-controller (VMs and agents do not notice).

[listen]
# grpc = "0.0.0.0:7420"                     # agents, and admin certificates
# socket = "${DEFAULT_SOCKET}"   # the lifeboat command on this host

[state]
# dir = "${DEFAULT_STATE_DIR}"

${PLACEMENT_TEMPLATE}
[evacuation]
# automatic = true
# hold_s = 60                 # a degraded mirror is watched this long before its blade is emptied
# mirror_degraded = "evacuate"  # or "alert"
# concurrent_per_source = 2
# concurrent_per_target = 2
# grace_h = 24                # the source keeps its volumes this long after a move
# move_deadline_s = 3600

[liveness]
# report_interval_s = 5
# suspect_after_s = 15
# silent_after_s = 30

${BACKUP_TEMPLATE}
[power]
# needed_supplies = 0         # 0: half of what was there at enrolment, rounded up

[alerts]
# webhook = ""                # each alert is POSTed there as JSON

[log]
# level = "info"
`
