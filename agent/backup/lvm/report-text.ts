import * as z from 'zod'
import { LifeboatError } from '../../../shared/errors.ts'
import { type LogicalVolume, parseVgs, type VolumeGroup } from '../../storage/lvm-text.ts'

/** One line of `lvs`, with what snapshots need to know beside a volume's own facts. */
export interface SnapshotLv extends LogicalVolume {
  /** Of a thin pool: how full its metadata is. */
  readonly metadataPercent: number
  /** Of a thin volume: its number in the pool; -1 otherwise. */
  readonly thinId: number
}

export const SNAPSHOT_LVS_COLUMNS =
  'vg_name,lv_name,lv_attr,lv_size,lv_tags,pool_lv,origin,data_percent,metadata_percent,lv_kernel_minor,thin_id'

export interface SnapshotReport {
  readonly volumes: readonly SnapshotLv[]
  readonly groups: readonly VolumeGroup[]
}

const whole = z.string().regex(/^\d+$/).transform(Number)
const number = (fallback: number) =>
  z
    .string()
    .regex(/^(-?\d+(\.\d+)?)?$/)
    .transform(text => (text === '' ? fallback : Number(text)))

const REPORT = z.object({
  report: z
    .array(
      z.object({
        lv: z.array(
          z.object({
            vg_name: z.string().min(1),
            lv_name: z.string().min(1),
            lv_attr: z.string().min(10),
            lv_size: whole,
            lv_tags: z.string(),
            pool_lv: z.string(),
            origin: z.string(),
            data_percent: number(0),
            metadata_percent: number(0),
            lv_kernel_minor: number(-1),
            thin_id: number(-1),
          }),
        ),
      }),
    )
    .min(1),
})

/** `lvs` with SNAPSHOT_LVS_COLUMNS and `vgs` with VGS_COLUMNS, both as JSON in bytes. Throws `bad-tool-output`. */
export function parseSnapshotReport(lvs: string, vgs: string): SnapshotReport {
  const parsed = REPORT.safeParse(parseJson(lvs))
  if (!parsed.success) {
    throw new LifeboatError('bad-tool-output', 'lvs printed a report of another shape than asked for', {
      details: parsed.error.issues.slice(0, 1).map(issue => `${issue.path.join('.')}: ${issue.message}`),
    })
  }
  const volumes = parsed.data.report.flatMap(part =>
    part.lv.map(row => ({
      group: row.vg_name,
      name: row.lv_name,
      attributes: row.lv_attr,
      sizeBytes: row.lv_size,
      tags: row.lv_tags === '' ? [] : row.lv_tags.split(','),
      pool: row.pool_lv,
      origin: row.origin,
      dataPercent: row.data_percent,
      metadataPercent: row.metadata_percent,
      minor: row.lv_kernel_minor,
      thinId: row.thin_id,
    })),
  )
  return { volumes, groups: parseVgs(vgs) }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new LifeboatError('bad-tool-output', 'lvs printed no whole JSON (cut off?)', { cause: error })
  }
}

/** A classic snapshot that has overflowed: the kernel gives no byte of it any more (lvs(8): `I` or `S` as state). */
export const isInvalid = (volume: SnapshotLv): boolean => /^[sS].{3}[IS]/.test(volume.attributes)
