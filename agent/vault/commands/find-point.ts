import { LifeboatError } from '../../../shared/errors.ts'
import { POINT } from '../format/point.ts'
import type { PointSummary } from '../vault.ts'

export interface PointWord {
  /** Name or id of the VM. */
  readonly vm: string
  /** Undefined: the newest whole one. */
  readonly point: string | undefined
}

/** More names than these nobody reads. */
const NAMED_VMS = 20

/** `web01`, `web01@20261128T020512Z`; a VM's name may itself hold an '@'. */
export function parsePointWord(text: string): PointWord {
  const at = text.lastIndexOf('@')
  const point = text.slice(at + 1)
  return at > 0 && POINT.test(point) ? { vm: text.slice(0, at), point } : { vm: text, point: undefined }
}

/**
 * The restore point a person means; `dir` is its vault, for the hints. `not-found` says what there is; `bad-input` when
 * two VMs bear the name, which a restore under a new id makes, and when what follows the '@' is no point.
 */
export function findPoint(points: readonly PointSummary[], text: string, dir: string): PointSummary {
  const { vm, point } = readWord(points, text)
  const ofVm = pickVm(points, vm)
  const found = point === undefined ? ofVm.find(isWhole) : ofVm.find(one => one.point === point)
  if (found !== undefined) return found
  const list = `lifeboat-vault list ${vm} --vault ${dir}`
  if (point === undefined) {
    throw new LifeboatError('not-found', `${vm} has no whole restore point, of ${ofVm.length}: ${list}`)
  }
  throw new LifeboatError('not-found', `${vm} has no restore point ${point}: ${list}`)
}

/** To look at and to check, not to restore from: the newest of any state when none is whole. Throws as `findPoint`. */
export function findAnyPoint(points: readonly PointSummary[], text: string, dir: string): PointSummary {
  const { vm, point } = readWord(points, text)
  const ofVm = pickVm(points, vm)
  const [newest] = ofVm
  return point === undefined && newest !== undefined && !ofVm.some(isWhole)
    ? newest
    : findPoint(points, text, dir)
}

/** All of one VM, by name or id, the newest first. Throws as `findPoint`. */
export function pointsOfVm(points: readonly PointSummary[], text: string): readonly PointSummary[] {
  const { vm, point } = readWord(points, text)
  if (point === undefined) return pickVm(points, vm)
  throw new LifeboatError('bad-input', `'${text}' names one restore point, a VM is wanted: ${vm}`)
}

/** A VM of exactly that name is meant, also where the word could be read in two. */
function readWord(points: readonly PointSummary[], text: string): PointWord {
  if (points.some(one => isOf(one, text))) return { vm: text, point: undefined }
  const word = parsePointWord(text)
  if (word.point !== undefined || !text.includes('@')) return word
  throw new LifeboatError('bad-input', `'${text}' names no restore point: VM, or VM@20261128T020512Z`)
}

function pickVm(points: readonly PointSummary[], vm: string): readonly PointSummary[] {
  const found = points.filter(one => isOf(one, vm))
  const vms = new Set(found.map(({ vmId }) => vmId))
  if (found.length === 0) {
    throw new LifeboatError('not-found', `the vault has no VM '${vm}': ${knownVms(points)}`)
  }
  if (vms.size === 1) return found
  throw new LifeboatError(
    'bad-input',
    `${vms.size} VMs are named '${vm}': give the id, one of ${[...vms].join(', ')}`,
  )
}

function knownVms(points: readonly PointSummary[]): string {
  const names = [...new Set(points.map(({ vm }) => vm))]
  if (names.length === 0) return 'it is empty'
  const more = names.length - NAMED_VMS
  return `it has ${names.slice(0, NAMED_VMS).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function isOf(point: PointSummary, vm: string): boolean {
  return point.vmId === vm || point.vm === vm
}

function isWhole(point: PointSummary): boolean {
  return point.state === 'whole'
}
