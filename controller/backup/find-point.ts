import { LifeboatError } from '../../shared/errors.ts'
import type { PointRecord } from '../store/points.ts'

export interface PointWish {
  /** Name or id of the VM, also of one that is gone. */
  readonly vm: string
  /** Empty: the newest whole one. */
  readonly point: string
}

/** Restore points of one VM, the newest first. Pure. Throws `not-found`, or `refused` when several VMs had the name. */
export function pointsOfVm(
  points: readonly PointRecord[],
  fleet: readonly { readonly id: string; readonly name: string }[],
  nameOrId: string,
): readonly PointRecord[] {
  const wanted = nameOrId.toLowerCase()
  const byId = points.filter(point => point.vmId === wanted)
  if (byId.length > 0) return byId
  // The VM that has the name now, before those that had it once.
  const current = fleet.filter(vm => vm.name === nameOrId)
  const [now, ...namesakes] = current
  if (now !== undefined && namesakes.length === 0) {
    const own = points.filter(point => point.vmId === now.id)
    if (own.length > 0) return own
  }
  const named = points.filter(point => point.vm === nameOrId)
  const ids = [...new Set(named.map(point => point.vmId))]
  if (ids.length > 1) {
    throw new LifeboatError('refused', `${ids.length} VMs were called ${nameOrId}: say which by its UUID`, {
      details: ids.map(id => {
        const newest = named.find(point => point.vmId === id)
        return `${id}, newest restore point ${newest?.point ?? ''}`
      }),
    })
  }
  if (named.length > 0) return named
  throw new LifeboatError(
    'not-found',
    current.length === 0
      ? `there is no restore point of ${nameOrId}; lifeboat backup list shows all`
      : `there is no restore point of ${nameOrId} yet; make one: lifeboat backup run ${nameOrId}`,
  )
}

/**
 * Is it by a blade where that VM was, as far as this controller knows, or put in by hand on the vault's host? A blade may
 * name its restore points for any VM: one that says it is of web01 may hold anything.
 */
export function isBySeenWriter(
  point: Pick<PointRecord, 'blade' | 'vmId'>,
  bladesOf: (vmId: string) => ReadonlySet<string>,
): boolean {
  return point.blade === '' || bladesOf(point.vmId).has(point.blade)
}

/**
 * The one that is meant. With none named, the newest whole one by a blade where the VM was: another must be named, by a
 * person who looked who wrote it. Throws `not-found`, and `refused` when there is none of that kind.
 */
export function findPoint(
  points: readonly PointRecord[],
  fleet: readonly { readonly id: string; readonly name: string }[],
  wish: PointWish,
  bladesOf: (vmId: string) => ReadonlySet<string>,
): PointRecord {
  const own = pointsOfVm(points, fleet, wish.vm)
  const whole = own.filter(point => point.state === 'whole')
  const found =
    wish.point === ''
      ? whole.find(point => isBySeenWriter(point, bladesOf))
      : own.find(point => point.point === wish.point)
  if (found !== undefined) return found
  const list = `lifeboat backup list ${wish.vm}`
  if (wish.point !== '') {
    throw new LifeboatError('not-found', `${wish.vm} has no restore point ${wish.point}; ${list}`)
  }
  const [newest] = whole
  if (newest !== undefined) {
    throw new LifeboatError(
      'refused',
      `the newest restore point of ${wish.vm} was written by ${newest.blade}, where this controller has never seen that VM`,
      {
        details: [
          `if it is the right one, name it: ${wish.vm}@${newest.point}`,
          `${list} shows all, and who wrote them`,
        ],
      },
    )
  }
  throw new LifeboatError('refused', `no restore point of ${wish.vm} is whole; ${list} says what is wrong`)
}
