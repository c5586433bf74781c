import * as z from 'zod'
import type { StorageKind } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** What LVM says of one volume, snapshot or pool. */
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
  /** Of a thin volume or pool, or a classic snapshot: how much of it is written; 0 where LVM prints nothing. */
  readonly dataPercent: number
  /** Of a thin pool: how full its metadata is. */
  readonly metadataPercent: number
  /** Minor number of its /dev/dm-N; -1 while it is not active. */
  readonly minor: number
  /** Of a thin volume: its number in the pool; -1 otherwise. */
  readonly thinId: number
}

/** What LVM says of one volume group. */
export interface VolumeGroup {
  readonly name: string
  readonly sizeBytes: number
  readonly freeBytes: number
  readonly extentBytes: number
}

export interface LvmReport {
  readonly volumes: readonly LogicalVolume[]
  readonly groups: readonly VolumeGroup[]
}

const JSON_IN_BYTES = ['--reportformat', 'json', '--units', 'b', '--nosuffix']
const LV_COLUMNS =
  'vg_name,lv_name,lv_attr,lv_size,lv_tags,pool_lv,origin,data_percent,metadata_percent,lv_kernel_minor'
const VG_COLUMNS = 'vg_name,vg_size,vg_free,vg_extent_size'

/**
 * Groups and volumes by one command: each costs a scan of the disks. The number of a thin volume is a column of segments,
 * and LVM refuses those of another part. What it prints of physical volumes cannot be left out, only made short.
 */
export const FULL_REPORT: readonly string[] = [
  ...['lvm', 'fullreport', ...JSON_IN_BYTES],
  ...['--configreport', 'vg', '--options', VG_COLUMNS],
  ...['--configreport', 'lv', '--options', LV_COLUMNS],
  ...['--configreport', 'pv', '--options', 'pv_name'],
  ...['--configreport', 'pvseg', '--options', 'pv_name'],
  ...['--configreport', 'seg', '--options', 'lv_name,thin_id'],
]

/** The chunk size of one thin pool. */
export function chunkReport(pool: string): readonly string[] {
  return ['lvs', ...JSON_IN_BYTES, '--options', 'chunk_size', pool]
}

const wholeNumber = z.string().regex(/^\d+$/).transform(Number)
const percent = z
  .string()
  .regex(/^(\d+(\.\d+)?)?$/)
  .transform(text => (text === '' ? 0 : Number(text)))
const numberOrNone = z
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
  metadata_percent: percent,
  lv_kernel_minor: numberOrNone,
})
const segRow = z.object({ lv_name: z.string().min(1), thin_id: numberOrNone })
const vgRow = z.object({
  vg_name: z.string().min(1),
  vg_size: wholeNumber,
  vg_free: wholeNumber,
  vg_extent_size: wholeNumber,
})
// One part for each group, and one with nothing of it for disks that are in none. LVM goes on after a part that it could
// not make: a group without its volumes must not be taken for an empty one.
const reportPart = z
  .object({
    vg: z.array(vgRow).optional(),
    lv: z.array(lvRow).optional(),
    seg: z.array(segRow).optional(),
  })
  .refine(({ vg, lv, seg }) => new Set([vg, lv, seg].map(part => part === undefined)).size === 1, {
    error: 'a group without its volumes',
  })
const fullReport = z.object({ report: z.array(reportPart) })
const chunkSizes = z.object({
  report: z.array(z.object({ lv: z.array(z.object({ chunk_size: wholeNumber })).min(1) })).min(1),
})

/** What FULL_REPORT prints. Throws `bad-tool-output` when it is cut off or not that. */
export function parseFullReport(text: string): LvmReport {
  const { report } = parseReport('lvm fullreport', text, fullReport)
  return {
    groups: report.flatMap(({ vg = [] }) => vg.map(toGroup)),
    volumes: report.flatMap(toVolumes),
  }
}

function toGroup(row: z.output<typeof vgRow>): VolumeGroup {
  return {
    name: row.vg_name,
    sizeBytes: row.vg_size,
    freeBytes: row.vg_free,
    extentBytes: row.vg_extent_size,
  }
}

function toVolumes({ lv = [], seg = [] }: z.output<typeof reportPart>): LogicalVolume[] {
  const thinIds = new Map(seg.map(({ lv_name, thin_id }) => [lv_name, thin_id]))
  return lv.map(row => ({
    group: row.vg_name,
    name: row.lv_name,
    attributes: row.lv_attr,
    sizeBytes: row.lv_size,
    tags: row.lv_tags,
    pool: row.pool_lv,
    origin: row.origin,
    dataPercent: row.data_percent,
    metadataPercent: row.metadata_percent,
    minor: row.lv_kernel_minor,
    thinId: thinIds.get(row.lv_name) ?? -1,
  }))
}

/** What `chunkReport` prints, in bytes. Throws `bad-tool-output`. */
export function parseChunkBytes(text: string): number {
  return parseReport('lvs', text, chunkSizes).report[0]?.lv[0]?.chunk_size ?? 0
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

/** A classic snapshot that has overflowed: the kernel gives no byte of it any more (lvs(8): `I` or `S` as state). */
export const isInvalid = (volume: LogicalVolume): boolean => /^[sS].{3}[IS]/.test(volume.attributes)

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
