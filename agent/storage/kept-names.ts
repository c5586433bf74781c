import { createHash } from 'node:crypto'
import { posix } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'

const MOVE_TAG = 'lifeboat.move.'
/** On an LV that a copy has begun to write: it reads zero no more where the next copy leaves a gap. */
export const WRITTEN_TAG = 'lifeboat.written'
const KEPT_TAG = 'lifeboat.kept.'
const WAS_TAG = 'lifeboat.was.'
const SINCE_TAG = 'lifeboat.kept-since.'

/** On an LV that is a snapshot of a backup: read only, and gone with it or kept as the base of the next night. */
export const SNAPSHOT_TAG = 'lifeboat.snapshot'

const KEPT_LV_PREFIX = 'lifeboat-kept.'
const KEPT_FILE = /^(.+)\.lifeboat-kept\.([A-Za-z0-9_.-]+)$/

// Group and name together; LVM 2.03.31 refuses one more.
const LV_PATH_LIMIT = 124
/**
 * Name in the device mapper, every dash doubled; its own limit is 127. LVM does not check this one: lvrename fails half
 * way and leaves the device suspended, and whoever touches it hangs. 8 less for the layers LVM may put below an LV
 * (`-real`, `-cow`), whose names are longer.
 */
export const MAPPER_NAME_LIMIT = 119
const FILE_NAME_LIMIT_BYTES = 255

// What lvm(8) allows in a tag and a file system in a name, so that the id can stand in both as it is.
const MOVE_ID = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$/

/** Throws `bad-input` for an id that could not be written down as a tag and as part of a file name. */
export function checkMoveId(moveId: string): string {
  if (MOVE_ID.test(moveId)) return moveId
  throw new LifeboatError(
    'bad-input',
    `'${moveId}' cannot be the id of a move: letters, digits, '_', '.', '-'`,
  )
}

/** Tag of an LV made for a move and not adopted yet. */
export const moveTag = (moveId: string): string => `${MOVE_TAG}${checkMoveId(moveId)}`

/** Tags of a kept LV: of which move, its old name (the new one may have to cut it), and since when (epoch ms). */
export function keptTags(moveId: string, oldName: string, keptAt: number): string[] {
  return [`${KEPT_TAG}${checkMoveId(moveId)}`, `${WAS_TAG}${oldName}`, `${SINCE_TAG}${Math.round(keptAt)}`]
}

export interface Marks {
  /** Of the move it was made for; undefined when it is nobody's arrival. */
  readonly arrivingBy: string | undefined
  readonly kept: { readonly moveId: string; readonly oldName: string; readonly keptAt: number } | undefined
}

/**
 * Reads our tags. An LV is kept only if its name says so too: tags are set first and the name changed last, so tags
 * alone mean that keeping was cut short, and the LV is still under its VM's name.
 */
export function readMarks(name: string, tags: readonly string[]): Marks {
  const after = (prefix: string) => tags.find(tag => tag.startsWith(prefix))?.slice(prefix.length)
  const moveId = after(KEPT_TAG)
  const isKept = moveId !== undefined && name.startsWith(KEPT_LV_PREFIX)
  return {
    arrivingBy: after(MOVE_TAG),
    kept: isKept
      ? { moveId, oldName: after(WAS_TAG) ?? '', keptAt: Number(after(SINCE_TAG) ?? 0) }
      : undefined,
  }
}

/** Our tags of the kept kind, to be removed when a volume is given back. */
export function tagsOfKept(tags: readonly string[]): string[] {
  return tags.filter(tag => [KEPT_TAG, WAS_TAG, SINCE_TAG].some(prefix => tag.startsWith(prefix)))
}

const shortHash = (moveId: string) => createHash('sha256').update(moveId).digest('hex').slice(0, 8)
/** Of a name in the device mapper. */
export const doubledLength = (name: string) => name.length + name.split('-').length - 1

/**
 * Name of a kept LV: `lifeboat-kept.<hash of the move>.<old name>`. The same move and name give the same answer, so a
 * second try finds the first. A name too long for LVM is cut and ends in a hash of the whole: two disks of one VM that
 * differ only at the end keep two names. Throws `refused` when the group's name leaves no room at all.
 */
export function keptLvName(group: string, oldName: string, moveId: string): string {
  const head = `${KEPT_LV_PREFIX}${shortHash(checkMoveId(moveId))}.`
  const fits = (name: string) =>
    group.length + name.length <= LV_PATH_LIMIT &&
    doubledLength(group) + 1 + doubledLength(name) <= MAPPER_NAME_LIMIT
  const whole = head + oldName
  if (fits(whole)) return whole
  for (let length = oldName.length - 1; length >= 0; length -= 1) {
    const cut = `${head}${oldName.slice(0, length)}+${shortHash(oldName)}`
    if (fits(cut)) return cut
  }
  throw new LifeboatError('refused', `the name of volume group ${group} is too long to keep ${oldName} in it`)
}

/** Path of a kept file: beside the old one, `<name>.lifeboat-kept.<moveId>`; a name too long is cut and hashed. */
export function keptFilePath(path: string, moveId: string): string {
  const suffix = `.lifeboat-kept.${checkMoveId(moveId)}`
  const name = posix.basename(path)
  const room = FILE_NAME_LIMIT_BYTES - suffix.length
  if (Buffer.byteLength(name) <= room) return `${path}${suffix}`
  // Cut by characters: half a character of UTF-8 would not be a name any more.
  let cut = name
  while (Buffer.byteLength(cut) > room - 9) cut = cut.slice(0, -1)
  return `${posix.dirname(path)}/${cut}+${shortHash(name)}${suffix}`
}

/** The move that left this file behind; undefined when the file is not a kept one. */
export function moveOfKeptFile(path: string): string | undefined {
  return KEPT_FILE.exec(posix.basename(path))?.[2]
}
