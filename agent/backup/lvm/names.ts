import { LifeboatError } from '../../../shared/errors.ts'
import { doubledLength, MAPPER_NAME_LIMIT, SNAPSHOT_TAG } from '../../storage/kept-names.ts'
import { POINT } from '../../vault/format/point.ts'

const BACKUP_TAG = 'lifeboat.backup.'
const VM_TAG = 'lifeboat.vm.'
/** Kept on purpose: what changed since that restore point is told by it. */
const BASE_TAG = 'lifeboat.base.'

// What may stand in a tag, in the name of an LV and in that of a unit of systemd, so that the id can stand there as it is.
const BACKUP_ID = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,47}$/

/** Throws `bad-input` for an id that cannot be written down in names and tags. */
export function checkBackupId(id: string): string {
  if (BACKUP_ID.test(id)) return id
  throw new LifeboatError('bad-input', `'${id}' cannot be the id of a backup: letters, digits, '_', '-'`)
}

/** `lifeboat-<backup>-<number>`. Throws `refused` when the name of the group leaves no room for it. */
export function snapshotName(group: string, backupId: string, number: number): string {
  const name = `lifeboat-${checkBackupId(backupId)}-${number}`
  if (doubledLength(group) + 1 + doubledLength(name) <= MAPPER_NAME_LIMIT) return name
  throw new LifeboatError(
    'refused',
    `the name of volume group ${group} is too long for the name of a snapshot in it`,
  )
}

/** Name in /dev/mapper, where every dash of a name is doubled. */
export function mapperName(group: string, name: string): string {
  return `${group.replaceAll('-', '--')}-${name.replaceAll('-', '--')}`
}

export function snapshotTags(backupId: string, vmId: string): string[] {
  return [SNAPSHOT_TAG, `${BACKUP_TAG}${checkBackupId(backupId)}`, `${VM_TAG}${vmId}`]
}

export const baseTag = (point: string): string => `${BASE_TAG}${point}`

export interface SnapshotMarks {
  readonly backupId: string
  readonly vmId: string
  /** Restore point it is the base of; undefined: it belongs to a backup under way, or is a leftover. */
  readonly basePoint: string | undefined
}

/** Reads our tags; undefined for an LV that is none of our snapshots. */
export function readMarks(tags: readonly string[]): SnapshotMarks | undefined {
  if (!tags.includes(SNAPSHOT_TAG)) return undefined
  const after = (prefix: string) => tags.find(tag => tag.startsWith(prefix))?.slice(prefix.length)
  const basePoint = after(BASE_TAG)
  return {
    backupId: after(BACKUP_TAG) ?? '',
    vmId: after(VM_TAG) ?? '',
    basePoint: basePoint !== undefined && POINT.test(basePoint) ? basePoint : undefined,
  }
}
