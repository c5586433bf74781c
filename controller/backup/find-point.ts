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
    `there is no restore point of ${nameOrId}; lifeboat backup list shows all`,
  )
}

/** The one that is meant. Throws `not-found`, or `refused` when the newest whole one is wanted and none is whole. */
export function findPoint(
  points: readonly PointRecord[],
  fleet: readonly { readonly id: string; readonly name: string }[],
  wish: PointWish,
): PointRecord {
  const own = pointsOfVm(points, fleet, wish.vm)
  const found =
    wish.point === ''
      ? own.find(point => point.state === 'whole')
      : own.find(point => point.point === wish.point)
  if (found !== undefined) return found
  const list = `lifeboat backup list ${wish.vm}`
  if (wish.point !== '') {
    throw new LifeboatError('not-found', `${wish.vm} has no restore point ${wish.point}; ${list}`)
  }
  throw new LifeboatError('refused', `no restore point of ${wish.vm} is whole; ${list} says what is wrong`)
}
