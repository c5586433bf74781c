import type { MirrorMemberState } from '../../shared/domain/health.ts'
import { parseLine, unreadableText } from './sysfs-text.ts'

const REDUNDANT_LEVELS: readonly string[] = ['raid1', 'raid10', 'raid4', 'raid5', 'raid6']
const OTHER_LEVELS: readonly string[] = ['linear', 'raid0', 'container', 'multipath', 'faulty']

/**
 * Does the array's data outlive a lost disk? The others have nothing to degrade and are left out. A level that is
 * neither is torn text, not a reason to leave the array out. Throws `bad-tool-output`.
 */
export function isRedundant(path: string, text: string): boolean {
  const level = parseLine(path, text)
  if (REDUNDANT_LEVELS.includes(level)) return true
  if (OTHER_LEVELS.includes(level)) return false
  throw unreadableText(path, text)
}

/** Slot of a member: its number, or undefined for `none` (and for a journal device). Throws `bad-tool-output`. */
export function parseSlot(path: string, text: string): number | undefined {
  const line = parseLine(path, text)
  if (line === 'none' || line === 'journal') return undefined
  if (!/^\d{1,4}$/.test(line)) throw unreadableText(path, text)
  return Number(line)
}

/**
 * `md/dev-X/state` (pure): a list of flags, of which the kernel always sets one of faulty, in_sync, spare or journal.
 * A spare with a slot is being filled: its data cannot be counted on yet. A replacement shares the slot of a disk that
 * still works, so it is a mere spare until it has taken over. Throws `bad-tool-output` when no such flag is there.
 */
export function parseMemberState(path: string, text: string, slot: number | undefined): MirrorMemberState {
  const flags = parseLine(path, text).split(',')
  if (flags.includes('faulty')) return 'faulty'
  if (flags.includes('in_sync')) return 'in-sync'
  if (flags.includes('journal') || flags.includes('replacement')) return 'spare'
  if (flags.includes('spare')) return slot === undefined ? 'spare' : 'rebuilding'
  throw unreadableText(path, text)
}

/** `sync_completed`: `none`, `delayed` or `done / total` in sectors → percent with one decimal. */
export function parseProgress(path: string, text: string): number {
  const line = parseLine(path, text)
  if (line === 'none' || line === 'delayed') return 0
  const parts = /^(\d+) \/ (\d+)$/.exec(line)
  const total = Number(parts?.[2] ?? 0)
  if (parts === null || total === 0) throw unreadableText(path, text)
  return Math.round((Number(parts[1]) / total) * 1000) / 10
}

/**
 * Slots nobody fills, as `slot 1`: a disk that is gone from the array leaves no name behind, only its number. Faulty
 * members that lost their slot still stand for one: they are listed by name and not a second time.
 */
export function missingSlots(
  expectedMembers: number,
  members: readonly { readonly state: MirrorMemberState; readonly slot: number | undefined }[],
): string[] {
  const taken = new Set(members.filter(member => member.state !== 'spare').map(member => member.slot))
  const empty: string[] = []
  for (let slot = 0; slot < expectedMembers; slot += 1) if (!taken.has(slot)) empty.push(`slot ${slot}`)
  const named = members.filter(member => member.state === 'faulty' && member.slot === undefined).length
  return empty.slice(0, Math.max(0, empty.length - named))
}
