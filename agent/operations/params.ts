import * as z from 'zod'
import { BOOT_SIGNS, type BootSign } from '../../shared/domain/backup.ts'
import type { Volume } from '../../shared/domain/fleet.ts'
import { TEST_VM_PREFIX } from '../../shared/domain/ids.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json } from '../../shared/saga/definition.ts'
import { POINT } from '../vault/format/point.ts'

const vmOrder = {
  vmId: z.string(),
  /** As known when the order came; for people. */
  vmName: z.string(),
  generation: z.number(),
  epoch: z.number(),
  deadlineAt: z.number(),
}
const moveOrder = { ...vmOrder, moveId: z.string() }

export const volumeSchema = z.object({
  target: z.string(),
  path: z.string(),
  storage: z.enum(['thick', 'thin', 'file']),
  pool: z.string(),
  sizeBytes: z.number(),
  allocatedBytes: z.number(),
  format: z.enum(['raw', 'qcow2']),
}) satisfies z.ZodType<Volume>

const vmSchema = z.object(vmOrder)
const stopSchema = z.object({ ...vmOrder, force: z.boolean() })
const prepareSchema = z.object({ ...moveOrder, fromBlade: z.string(), volumes: z.array(volumeSchema) })
const sendSchema = z.object({ ...moveOrder, toBlade: z.string(), peerAddress: z.string() })
const confirmSchema = z.object({ ...moveOrder, running: z.boolean() })
const discardSchema = z.object(moveOrder)
const releaseSchema = z.object({ ...moveOrder, graceMs: z.number() })
/** An agent's own backup has the same parameters as one that was ordered, with generation and epoch 0. */
const backupSchema = z.object({
  ...vmOrder,
  /** '': as set for the VM. */
  mode: z.enum(['', 'pause', 'freeze', 'crash']),
  force: z.boolean(),
})
const vaultSchema = z.object({ name: z.string().min(1), address: z.string().min(1) })
const restoreOrder = {
  ...vmOrder,
  /** Marks the volumes until they are the VM's. */
  restoreId: z.string().min(1),
  vault: vaultSchema,
  pointVmId: z.string(),
  point: z.string().regex(POINT),
  volumes: z.array(volumeSchema).min(1),
}
const restoreSchema = z.object({
  ...restoreOrder,
  newIdentity: z.boolean(),
  start: z.boolean(),
  /** Name inside the VM of the one volume wanted; '': all, and the VM is defined. */
  onlyDisk: z.string(),
})
const bootTestSchema = z.object({
  ...restoreOrder,
  vmName: z.string().startsWith(TEST_VM_PREFIX),
  bootLimitMs: z.number().positive(),
  sign: z.enum(Object.keys(BOOT_SIGNS) as [BootSign, ...BootSign[]]),
})

export type VmParams = z.output<typeof vmSchema>
export type StopParams = z.output<typeof stopSchema>
export type PrepareParams = z.output<typeof prepareSchema>
export type SendParams = z.output<typeof sendSchema>
export type ConfirmParams = z.output<typeof confirmSchema>
export type DiscardParams = z.output<typeof discardSchema>
export type ReleaseParams = z.output<typeof releaseSchema>
export type BackupParams = z.output<typeof backupSchema>
export type RestoreParams = z.output<typeof restoreSchema>
export type BootTestParams = z.output<typeof bootTestSchema>
/** What a restore and a boot test have in common. */
export type PointParams = Pick<RestoreParams, keyof typeof restoreOrder>

/** Readers of the journal's JSON, by what the order needs. Each throws `bad-input`, naming every bad field. */
export const parseVmParams = reader(vmSchema)
export const parseStopParams = reader(stopSchema)
export const parsePrepareParams = reader(prepareSchema)
export const parseSendParams = reader(sendSchema)
export const parseConfirmParams = reader(confirmSchema)
export const parseDiscardParams = reader(discardSchema)
export const parseReleaseParams = reader(releaseSchema)
export const parseBackupParams = reader(backupSchema)
export const parseRestoreParams = reader(restoreSchema)
export const parseBootTestParams = reader(bootTestSchema)

/** Volumes out of a step's result or another journaled place. Throws `bad-input`. */
export const parseVolumes = reader(z.array(volumeSchema))

function reader<S extends z.ZodType>(schema: S): (json: Json | undefined) => z.output<S> {
  return json => {
    const result = schema.safeParse(json)
    if (result.success) return result.data
    const details = result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`)
    throw new LifeboatError('bad-input', 'the journal holds parameters this version cannot read', { details })
  }
}
