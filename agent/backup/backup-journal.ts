import * as z from 'zod'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json } from '../../shared/saga/definition.ts'
import { volumeSchema } from '../operations/params.ts'
import type { VaultAddress } from '../vault/client/connection.ts'
import { CONSISTENCIES, type Consistency } from '../vault/format/manifest.ts'
import type { SnapshotPlan } from './snapshots.ts'

// What the steps of a backup leave in the journal for the later ones, and for the undo in another process.

const JSON_VALUE: z.ZodType<Json> = z.json()

const CHECK = z.object({
  plan: z.object({
    backupId: z.string(),
    vmId: z.string(),
    vmName: z.string(),
    mode: z.enum(['pause', 'freeze', 'crash']),
    pauseBudgetMs: z.number(),
    own: JSON_VALUE,
  }) satisfies z.ZodType<SnapshotPlan>,
  vault: z.object({ name: z.string(), address: z.string() }) satisfies z.ZodType<VaultAddress>,
  memoryBytes: z.number(),
  vcpus: z.number(),
})

const SNAPSHOT = z.object({
  at: z.number(),
  consistency: z.enum(Object.keys(CONSISTENCIES) as [Consistency, ...Consistency[]]),
  pauseMs: z.number(),
  sources: z.array(z.object({ volume: volumeSchema, path: z.string(), sizeBytes: z.number() })),
})

export type CheckResult = z.output<typeof CHECK>
export type SnapshotResult = z.output<typeof SNAPSHOT>

/** Both throw `bad-input` for what this version cannot read. */
export const readCheck = (json: Json | undefined): CheckResult => read(CHECK, json)
export const readSnapshot = (json: Json | undefined): SnapshotResult => read(SNAPSHOT, json)

function read<S extends z.ZodType>(schema: S, json: Json | undefined): z.output<S> {
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const details = result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
  throw new LifeboatError('bad-input', 'the journal of a backup cannot be read by this version', { details })
}
