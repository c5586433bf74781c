import * as z from 'zod'
import { STORAGE_KINDS, type StorageKind } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { type DefinitionParts, parseDefinition } from './definition-text.ts'
import type { SavedDisk } from './volumes.ts'

/** What the manifest of a restore point says of its VM, as far as the placement needs it. */
export interface SavedVm extends DefinitionParts {
  readonly id: string
  readonly name: string
  readonly memoryBytes: number
  readonly vcpus: number
  readonly disks: readonly SavedDisk[]
  /** Added by hand, without a definition: only its disks can be brought back. */
  readonly hasDefinition: boolean
}

const kinds = Object.keys(STORAGE_KINDS) as [StorageKind, ...StorageKind[]]

const MANIFEST = z.object({
  vm: z.object({ id: z.string(), name: z.string() }),
  definition: z.string(),
  memoryBytes: z.number(),
  vcpus: z.number(),
  disks: z.array(
    z.object({
      target: z.string(),
      sizeBytes: z.number(),
      virtualBytes: z.number().optional(),
      format: z.enum(['raw', 'qcow2']),
      storage: z.enum(kinds),
      pool: z.string(),
      path: z.string(),
    }),
  ),
})

/** Reads the manifest that a vault sent. Pure. Throws `refused`, with what cannot be read. */
export function readSavedVm(manifestJson: string): SavedVm {
  const result = MANIFEST.safeParse(parseJson(manifestJson))
  if (!result.success) {
    throw new LifeboatError('refused', 'the manifest of the restore point cannot be read', {
      details: result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`),
    })
  }
  const { vm, definition, ...rest } = result.data
  // Room for the disk in an image, not for the file it was that night: it grows until the disk is full (rule 5).
  const disks = rest.disks.map(
    ({ virtualBytes = 0, ...disk }): SavedDisk => ({
      ...disk,
      sizeBytes: Math.max(disk.sizeBytes, virtualBytes),
    }),
  )
  const hasDefinition = definition !== ''
  const parts = hasDefinition ? parseDefinition(definition) : { networks: [], machine: '', cpuModel: '' }
  return { ...rest, disks, ...parts, ...vm, hasDefinition }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
