import * as z from 'zod'
import { ADMIN_STATES, HEALTH_STATES, LIVENESS_STATES, STORAGE_KINDS } from '../../shared/domain/fleet.ts'
import type { REASON_CODES } from '../../shared/domain/reason.ts'
import { GIB } from '../../shared/domain/units.ts'
import { LARGEST_BYTES, nameProblem } from './problems.ts'

/** Keys of a state table, as zod wants them. */
function keysOf<Key extends string>(table: Readonly<Record<Key, string>>): [Key, ...Key[]] {
  return Object.keys(table) as [Key, ...Key[]]
}

const name = z.string().superRefine((text, context) => {
  const problem = nameProblem(text)
  if (problem !== '') context.addIssue({ code: 'custom', message: problem })
})
const different = z.array(name).refine(list => new Set(list).size === list.length, 'has the same name twice')
const names = different.default([])
const gib = z
  .number()
  .min(0, 'is below zero')
  .max(LARGEST_BYTES / GIB, `is more than ${LARGEST_BYTES / GIB} GiB, which is taken for a mistake`)

const POOL = z.strictObject({
  name,
  storage: z.enum(keysOf(STORAGE_KINDS)).default('thick'),
  gib,
  /** Default: what the volumes on it leave. */
  freeGib: gib.optional(),
  /** Of the rest: held by volumes kept after a move. */
  reclaimableGib: gib.default(0),
})

const BLADE = z.strictObject({
  name,
  memoryGib: gib,
  reservedMemoryGib: gib.default(4),
  cpus: z.int().min(1).max(4096).default(16),
  pools: z.array(POOL).default([]),
  networks: names,
  cpuModels: names,
  hypervisor: z.string().default(''),
  chassis: z.string().default(''),
  slot: z.int().min(0).max(1000).default(0),
  feeds: names,
  switches: names,
  maxVms: z.int().min(0).max(1000).optional(),
  admin: z.enum(keysOf(ADMIN_STATES)).default('in-service'),
  health: z.enum(keysOf(HEALTH_STATES)).default('healthy'),
  healthReasons: z.array(z.string()).default([]),
  liveness: z.enum(keysOf(LIVENESS_STATES)).default('up'),
})

/** What may keep a VM where it is. The other codes of a refusal are about blades, and are found out by the planner. */
const OBSTACLES = [
  'passed-through-device',
  'host-cdrom',
  'disk-not-local',
  'disk-shared',
  'disk-has-backing-file',
  'disk-unreadable',
  'vm-has-snapshots',
  'vm-not-migratable',
  'vm-name-unsafe',
] as const satisfies readonly (keyof typeof REASON_CODES)[]

const VOLUME = z.strictObject({
  pool: name,
  storage: z.enum(keysOf(STORAGE_KINDS)).default('thick'),
  gib,
  /** Default: all of it. */
  allocatedGib: gib.optional(),
})

const VM = z.strictObject({
  name,
  blade: name,
  memoryGib: gib,
  vcpus: z.int().min(1).max(4096).default(2),
  volumes: z.array(VOLUME).max(64).default([]),
  networks: names,
  state: z.enum(['running', 'stopped', 'paused', 'crashed', 'unknown']).default('running'),
  cpuModel: z.string().default(''),
  machine: z.string().default(''),
  persistent: z.boolean().default(true),
  obstacles: z.array(z.enum(OBSTACLES)).default([]),
})

const NEW_VM = VM.omit({ blade: true })

const at = { atSeconds: z.number().min(0).max(31_536_000) }
const BLADE_EVENTS = [
  'mirror-degraded',
  'mirror-failing',
  'mirror-repaired',
  'blade-dead',
  'blade-back',
  'cordoned',
  'uncordoned',
  'maintenance',
  'evacuate',
] as const
const VM_EVENTS = ['vm-removed', 'vm-stopped', 'vm-started'] as const

const EVENT = z.discriminatedUnion('what', [
  z.strictObject({ ...at, what: z.enum(BLADE_EVENTS), blade: name }),
  z.strictObject({ ...at, what: z.enum(['chassis-lost', 'chassis-back']), chassis: name }),
  z.strictObject({ ...at, what: z.enum(['feed-lost', 'feed-back']), feed: name }),
  z.strictObject({ ...at, what: z.enum(['switch-lost', 'switch-back']), switch: name }),
  z.strictObject({ ...at, what: z.literal('vm-added'), vm: NEW_VM }),
  z.strictObject({ ...at, what: z.enum(VM_EVENTS), vm: name }),
  z.strictObject({ ...at, what: z.enum(['automation-paused', 'automation-resumed']) }),
])

const RATES = z.strictObject({
  /** What one copy gets, in millions of bytes a second. */
  copyMbPerSecond: z.number().min(0.1).max(100_000).optional(),
  restoreMbPerSecond: z.number().min(0.1).max(100_000).optional(),
})

const KEYS = z.record(z.string(), z.unknown())

/** The whole file. `config` is checked by the schema of controller.toml. */
export const FLEET_FILE = z.strictObject({
  format: z.literal('lifeboat-fleet-1', "must be 'lifeboat-fleet-1'"),
  story: z.string().default(''),
  startsAt: z.iso.datetime({ error: 'must be a time like 2026-03-01T02:14:00Z' }).optional(),
  config: z.unknown().optional(),
  rates: RATES.default({}),
  /** Where given, every blade must name its own among them. */
  chassis: different.optional(),
  feeds: different.optional(),
  switches: different.optional(),
  /** Already under each blade and VM when this is checked. */
  defaults: z.strictObject({ blade: KEYS.optional(), vm: KEYS.optional() }).optional(),
  blades: z.array(BLADE).min(1, 'has no blade'),
  vms: z.array(VM).default([]),
  events: z.array(EVENT).default([]),
})

export type FleetFile = z.output<typeof FLEET_FILE>
export type FileBlade = FleetFile['blades'][number]
export type FileVm = FleetFile['vms'][number]
export type FileEvent = FleetFile['events'][number]
