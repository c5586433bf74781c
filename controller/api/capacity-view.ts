import * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import type { FleetRoom } from '../capacity/fleet-room.ts'
import { lossText } from '../capacity/loss-words.ts'
import type { Loss } from '../capacity/losses.ts'
import type { WhatIfAnswer } from '../capacity/what-if.ts'
import { volumeBytesOf } from '../placement/times.ts'
import { loadToWire, nPlusOneToWire, reliefToWire, unplacedToWire } from './plan-view.ts'

/** What the blades that take VMs have in all. */
export function fleetRoomToWire({ openBlades, roomiest, pools, ...room }: FleetRoom): wire.FleetRoom {
  return {
    ...room,
    bladesOpen: openBlades,
    pools: pools.map(pool => ({ ...pool })),
    roomiest: roomiest === undefined ? undefined : loadToWire(roomiest),
  }
}

/** What would happen if that part of the fleet died. */
export function lossToWire(loss: Loss): wire.Loss {
  const times = loss.returns.flatMap(({ point }) => (point === undefined ? [] : [point.at]))
  return {
    kind: loss.kind,
    name: loss.name,
    blades: [...loss.blades],
    bladesLeft: loss.bladesLeft,
    survivable: loss.unplaced.length === 0,
    text: lossText(loss),
    returns: loss.returns.map(({ vm, to, point, backAfterMs }) => ({
      vm: vm.name,
      vmId: vm.id,
      from: vm.blade,
      to,
      point: point?.name ?? '',
      pointAt: point?.at ?? 0,
      pointVerified: point?.verified ?? false,
      bytes: point?.sizeBytes ?? 0,
      backAfterMs,
    })),
    unplaced: unplacedToWire(loss.unplaced),
    withoutPoint: [...loss.withoutPoint],
    allBackMs: loss.allBackMs,
    oldestPointAt: times.length === 0 ? 0 : Math.min(...times),
    relief: loss.relief.map(reliefToWire),
  }
}

/** What a changed fleet would look like. */
export function whatIfToWire(answer: WhatIfAnswer): wire.WhatIfReport {
  return {
    fits: answer.fits,
    text: answer.text,
    changes: [...answer.changes],
    moves: answer.placements.map(({ vm, role, needs, to, method }) =>
      wire.Move.fromPartial({
        vm: vm.name,
        vmId: vm.blade === '' ? '' : vm.id,
        from: vm.blade,
        to,
        method: vm.blade === '' ? '' : method,
        memoryBytes: vm.memoryBytes,
        volumeBytes: volumeBytesOf(vm),
        state: 'planned',
        role,
        needs: [...needs],
      }),
    ),
    unplaced: unplacedToWire(answer.unplaced),
    relief: answer.relief.map(reliefToWire),
    nPlusOneBefore: nPlusOneToWire(answer.before.nPlusOne),
    nPlusOneAfter: nPlusOneToWire(answer.after.nPlusOne),
    roomBefore: fleetRoomToWire(answer.before.room),
    roomAfter: fleetRoomToWire(answer.after.room),
    after: answer.after.loads.map(loadToWire),
  }
}
