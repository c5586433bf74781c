import { LifeboatError } from '../../../shared/errors.ts'
import { POINT } from '../format/point.ts'
import type { PointSummary } from '../vault.ts'

export interface PointWord {
  /** Name or id of the VM. */
  readonly vm: string
  /** Undefined: the newest whole one. */
  readonly point: string | undefined
}

/** `web01`, `web01@20261128T020512Z`; a VM's name may itself hold an '@'. */
export function parsePointWord(text: string): PointWord {
  const at = text.lastIndexOf('@')
  const point = text.slice(at + 1)
  return at > 0 && POINT.test(point) ? { vm: text.slice(0, at), point } : { vm: text, point: undefined }
}

/**
 * The restore point a person means; `dir` is its vault, for the hints. `not-found` says what there is; `bad-input` when
 * two VMs bear the name, which a restore under a new id makes.
 */
export function findPoint(points: readonly PointSummary[], text: string, dir: string): PointSummary {
  const { vm, point } = parsePointWord(text)
  const ofVm = pointsOfVm(points, vm)
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
  const { vm, point } = parsePointWord(text)
  const ofVm = pointsOfVm(points, vm)
  const [newest] = ofVm
  return point === undefined && newest !== undefined && !ofVm.some(isWhole)
    ? newest
    : findPoint(points, text, dir)
}

/** All of one VM, by name or id, the newest first. Throws as `findPoint`. */
export function pointsOfVm(points: readonly PointSummary[], vm: string): readonly PointSummary[] {
  const found = points.filter(one => one.vmId === vm || one.vm === vm)
  const vms = new Set(found.map(({ vmId }) => vmId))
  if (found.length === 0) {
    const names = [...new Set(points.map(one => one.vm))]
    const known = names.length === 0 ? 'it is empty' : `it has ${names.slice(0, 20).join(', ')}`
    throw new LifeboatError('not-found', `the vault has no VM '${vm}': ${known}`)
  }
  if (vms.size === 1) return found
  throw new LifeboatError(
    'bad-input',
    `${vms.size} VMs are named '${vm}': give the id, one of ${[...vms].join(', ')}`,
  )
}

function isWhole(point: PointSummary): boolean {
  return point.state === 'whole'
}
