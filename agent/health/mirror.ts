import type { Clock } from '../../shared/clock.ts'
import type { MirrorFact } from '../../shared/domain/health.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { HostFiles } from './host-files.ts'
import { isRedundant, missingSlots, parseMemberState, parseProgress, parseSlot } from './mirror-text.ts'
import type { Probe } from './probe.ts'
import { parseCount, parseLine } from './sysfs-text.ts'
import { orUnreadable, unreadableFact } from './unreadable.ts'

const BLOCK = '/sys/block'
/** A dozen sysfs reads for a two-disk mirror; a lost disk must be alerted within 15 s of its failure. */
const INTERVAL_MS = 3 * SECOND_MS

/**
 * Reads every redundant md array from sysfs alone. `mdadm --detail` says nothing more: a disk that left the array has
 * no name there either; its name is in the blade's baseline.
 */
export function createMirrorProbe(options: { files: HostFiles; clock: Clock }): Probe {
  const { files, clock } = options
  return {
    subject: 'mirror',
    intervalMs: INTERVAL_MS,
    async read() {
      const observedAt = clock.now()
      try {
        const names = (await files.list(BLOCK)).filter(name => /^md[0-9_]/.test(name))
        const facts = await Promise.all(
          names.map(name =>
            orUnreadable('mirror', name, observedAt, () => readMirror(files, name, observedAt)),
          ),
        )
        return facts.filter(fact => fact !== undefined)
      } catch (error) {
        return [unreadableFact('mirror', '', observedAt, error)]
      }
    },
  }
}

/** Undefined for what is no redundant array. Throws for one that cannot be read or does not run. */
async function readMirror(
  files: HostFiles,
  name: string,
  observedAt: number,
): Promise<MirrorFact | undefined> {
  const directory = `${BLOCK}/${name}/md`
  const entries = await files.list(directory)
  // Partitions and stopped arrays linger in /sys/block without an md directory.
  if (entries.length === 0) return undefined
  const read = (file: string) => files.read(`${directory}/${file}`)
  const arrayState = parseLine(`${directory}/array_state`, await read('array_state'))
  if (arrayState === 'clear') return undefined
  const level = await read('level')
  // Parts of an array that never started may have no level yet, and could be those of a mirror.
  if ((arrayState !== 'inactive' || level.trim() !== '') && !isRedundant(`${directory}/level`, level)) {
    return undefined
  }
  if (arrayState === 'inactive') {
    throw new LifeboatError('unavailable', `${name} is assembled but not running (array_state inactive)`)
  }
  const expectedMembers = parseCount(`${directory}/raid_disks`, await read('raid_disks'))
  const devices = entries.filter(entry => entry.startsWith('dev-'))
  const members = await Promise.all(
    devices.map(device => readMember(files, `${directory}/${device}`, device)),
  )
  const activity = parseLine(`${directory}/sync_action`, await read('sync_action'))
  const progressPercent =
    activity === 'idle' || activity === 'frozen'
      ? 0
      : parseProgress(`${directory}/sync_completed`, await read('sync_completed'))
  const missing = missingSlots(expectedMembers, members).map(device => ({
    device,
    state: 'missing' as const,
    errors: 0,
  }))
  const listed = members.map(({ device, state, errors }) => ({ device, state, errors }))
  return {
    kind: 'mirror',
    observedAt,
    name,
    expectedMembers,
    members: [...listed, ...missing],
    activity,
    progressPercent,
  }
}

async function readMember(files: HostFiles, directory: string, entry: string) {
  const slot = parseSlot(`${directory}/slot`, await files.read(`${directory}/slot`))
  const state = parseMemberState(`${directory}/state`, await files.read(`${directory}/state`), slot)
  const errors = parseCount(`${directory}/errors`, await files.read(`${directory}/errors`))
  return { device: await deviceName(files, entry.slice('dev-'.length)), state, slot, errors }
}

/** `dm-1` says nothing to a person and may be another disk after a boot: the mapper's own name is shown. */
async function deviceName(files: HostFiles, kernelName: string): Promise<string> {
  if (!/^dm-\d+$/.test(kernelName)) return kernelName
  try {
    return parseLine(kernelName, await files.read(`${BLOCK}/${kernelName}/dm/name`))
  } catch {
    // The mapping can be gone while the array still holds the device; the kernel's name is all there is.
    return kernelName
  }
}
