import type { ErrorCode } from '../../shared/errors.ts'
import type { MoveRow } from '../store/move-store.ts'
import type { PeerChannel, PeerHeader } from './header.ts'

export type DoorDecision =
  | { readonly open: true }
  | { readonly open: false; readonly code: ErrorCode; readonly message: string }

/** States of an incoming move in which each channel is let in. */
const OPEN_IN: Record<PeerChannel, readonly MoveRow['state'][]> = {
  control: ['prepared'],
  memory: ['prepared'],
  disk: ['prepared'],
  copy: ['prepared'],
  begin: ['prepared'],
  definition: ['prepared'],
  // Said again after a lost answer; the VM runs already, or belongs here already.
  released: ['prepared', 'released', 'confirmed'],
  // A question changes nothing.
  state: ['prepared', 'released', 'confirmed', 'discarded'],
}

/**
 * May this peer do that? The move must be known here, the VM must be the move's, and the certificate must be that
 * of the blade the controller named as its source: nobody else can feed us bytes or say that the source let go.
 */
export function decideDoor(header: PeerHeader, peerName: string, move: MoveRow | undefined): DoorDecision {
  if (move === undefined || move.direction !== 'in' || move.vmId !== header.vmId) {
    return refuse('not-found', `no move ${header.moveId} of that VM is expected here`)
  }
  if (move.peerBlade !== peerName) {
    return refuse('not-allowed', `move ${header.moveId} comes from ${move.peerBlade}, not from ${peerName}`)
  }
  if (!OPEN_IN[header.channel].includes(move.state)) {
    return refuse(
      'refused',
      `move ${header.moveId} is ${move.state} here: '${header.channel}' comes too late`,
    )
  }
  return { open: true }
}

function refuse(code: ErrorCode, message: string): DoorDecision {
  return { open: false, code, message }
}
