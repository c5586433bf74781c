import { readBackups } from '../backup/known.ts'
import { fleetRoom } from '../capacity/fleet-room.ts'
import { lossesOf } from '../capacity/losses.ts'
import { type PointOf, returnPoint } from '../capacity/return-point.ts'
import { whatIf } from '../capacity/what-if.ts'
import { loadsByName } from '../placement/load.ts'
import { roomsOf } from '../placement/room.ts'
import { nPlusOne } from '../placement/survives.ts'
import { fleetRoomToWire, lossToWire, whatIfToWire } from './capacity-view.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { requireJoined } from './find.ts'
import { loadToWire, nPlusOneToWire } from './plan-view.ts'

/** What the fleet has left, and what it could lose. Decided anew on the fleet as it is now. */
export function capacityHandlers(context: ApiContext): Pick<AdminHandlers, 'getCapacity' | 'whatIf'> {
  const { store, fleet, clock } = context
  return {
    getCapacity: ({ blade }) => {
      const now = clock.now()
      const snapshot = fleet.snapshot(now)
      if (blade !== '') requireJoined(snapshot, store, blade)
      const rooms = roomsOf(snapshot)
      return {
        nowAt: now,
        room: fleetRoomToWire(fleetRoom(rooms)),
        nPlusOne: nPlusOneToWire(nPlusOne(snapshot)),
        losses: lossesOf({ snapshot, pointOf: pointOf(context), blade }).map(lossToWire),
        loads: loadsByName(rooms).map(loadToWire),
      }
    },
    /** Changes nothing. */
    whatIf: ({ remove, addVms, addBlades }) =>
      whatIfToWire(
        whatIf(fleet.snapshot(clock.now()), {
          remove,
          addVms: addVms.map(vm => ({ ...vm, count: vm.count || 1 })),
          addBlades: addBlades.map(blade => ({ ...blade, count: blade.count || 1 })),
        }),
      ),
  }
}

/** Of what this controller knows of its vaults, also while they are away. */
function pointOf({ store, config }: ApiContext): PointOf {
  const known = readBackups(store, config.backup)
  return vmId => returnPoint(known.pointsOf(vmId), store.vms.bladesOf)
}
