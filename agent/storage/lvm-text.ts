import * as z from 'zod'
import type { StorageKind } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** One line of `lvs`. */
export interface LogicalVolume {
  readonly group: string
  readonly name: string
  /** `-wi-ao----`, see lvs(8): the first letter is the kind, the eighth says whether a thin pool zeroes new chunks. */
  readonly attributes: string
  readonly sizeBytes: number
  readonly tags: readonly string[]
  /** Thin volumes only; empty otherwise. */
  readonly pool: string
  /** Of a snapshot; empty otherwise. */
  readonly origin: string
  /** Of a thin volume or pool: how much of it is written; 0 where LVM prints nothing. */
  readonly dataPercent: number
  /** Minor number of its /dev/dm-N; -1 while it is not active. */
  readonly minor: number
}

/** One line of `vgs`. */
export interface VolumeGroup {
  readonly name: string
  readonly sizeBytes: number
  readonly freeBytes: number
  readonly extentBytes: number
}

/** Columns asked for; `parseLvs` expects exactly these. No column of segments: it would print one line per segment. */
export const LVS_COLUMNS =
  'vg_name,lv_name,lv_attr,lv_size,lv_tags,pool_lv,origin,data_percent,lv_kernel_minor'
export const VGS_COLUMNS = 'vg_name,vg_size,vg_free,vg_extent_size'

const wholeNumber = z.string().regex(/^\d+$/).transform(Number)
const percent = z
  .string()
  .regex(/^(\d+(\.\d+)?)?$/)
  .transform(text => (text === '' ? 0 : Number(text)))
const minor = z
  .string()
  .regex(/^(-?\d+)?$/)
  .transform(text => (text === '' ? -1 : Number(text)))
const tagList = z.string().transform(text => (text === '' ? [] : text.split(',')))

const lvRow = z.object({
  vg_name: z.string().min(1),
  lv_name: z.string().min(1),
  lv_attr: z.string().min(10),
  lv_size: wholeNumber,
  lv_tags: tagList,
  pool_lv: z.string(),
  origin: z.string(),
  data_percent: percent,
  lv_kernel_minor: minor,
})
const vgRow = z.object({
  vg_name: z.string().min(1),
  vg_size: wholeNumber,
  vg_free: wholeNumber,
  vg_extent_size: wholeNumber,
})
const lvsReport = z.object({ report: z.array(z.object({ lv: z.array(lvRow) })).min(1) })
const vgsReport = z.object({ report: z.array(z.object({ vg: z.array(vgRow) })).min(1) })
const chunkReport = z.object({
  report: z.array(z.object({ lv: z.array(z.object({ chunk_size: wholeNumber })).min(1) })).min(1),
})

/** `lvs --reportformat json` with LVS_COLUMNS in bytes. Throws `bad-tool-output` when it is cut off or not that. */
export function parseLvs(text: string): LogicalVolume[] {
  return parseReport('lvs', text, lvsReport).report.flatMap(part =>
    part.lv.map(row => ({
      group: row.vg_name,
      name: row.lv_name,
      attributes: row.lv_attr,
      sizeBytes: row.lv_size,
      tags: row.lv_tags,
      pool: row.pool_lv,
      origin: row.origin,
      dataPercent: row.data_percent,
      minor: row.lv_kernel_minor,
    })),
  )
}

/** `vgs --reportformat json` with VGS_COLUMNS in bytes. Throws `bad-tool-output`. */
export function parseVgs(text: string): VolumeGroup[] {
  return parseReport('vgs', text, vgsReport).report.flatMap(part =>
    part.vg.map(row => ({
      name: row.vg_name,
      sizeBytes: row.vg_size,
      freeBytes: row.vg_free,
      extentBytes: row.vg_extent_size,
    })),
  )
}

/** `lvs -o chunk_size` of one thin pool. Throws `bad-tool-output`. */
export function parseChunkBytes(text: string): number {
  return parseReport('lvs', text, chunkReport).report[0]?.lv[0]?.chunk_size ?? 0
}

/** What an LV is to us; undefined for pools, classic snapshots and whatever else can be no disk of ours. */
export function lvStorage(volume: LogicalVolume): Exclude<StorageKind, 'file'> | undefined {
  const kind = volume.attributes.charAt(0)
  if (kind === 'V') return 'thin'
  return '-oOmMrRgc'.includes(kind) || isCached(volume) ? 'thick' : undefined
}

// A cache pool of its own bears the same first letter as a cached LV; only the latter has an origin.
const isCached = (volume: LogicalVolume) => volume.attributes.startsWith('C') && volume.origin !== ''

/** A classic snapshot: its lv_size is the room for changes, not the size of the disk it shows. */
export const isClassicSnapshot = (volume: LogicalVolume): boolean => /^[sS]/.test(volume.attributes)

/** A classic snapshot of the volume: lvremove would take it along, without asking. Thin ones stand alone. */
export function classicSnapshotOf(
  { group, name }: LogicalVolume,
  volumes: readonly LogicalVolume[],
): LogicalVolume | undefined {
  return volumes.find(other => other.group === group && other.origin === name && isClassicSnapshot(other))
}

export const isThinPool = (volume: LogicalVolume): boolean => volume.attributes.startsWith('t')
export const isActive = (volume: LogicalVolume): boolean => volume.attributes.charAt(4) === 'a'
/** Of a thin pool or volume: are chunks zeroed before their first use? */
export const zeroesNewChunks = (volume: LogicalVolume): boolean => volume.attributes.charAt(7) === 'z'

/** One error for whatever is wrong, naming the tool; zod's first complaint is its cause. */
function parseReport<S extends z.ZodType>(tool: string, text: string, schema: S): z.output<S> {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (error) {
    const what =
      text.trim() === '' ? 'printed nothing' : `printed ${text.length} characters that are no whole JSON`
    throw new LifeboatError('bad-tool-output', `${tool} ${what} (cut off?)`, { cause: error })
  }
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const where = issue === undefined ? '' : `${issue.path.join('.')}: ${issue.message}`
  throw new LifeboatError('bad-tool-output', `${tool} printed a report of another shape than asked for`, {
    details: [where],
  })
}
