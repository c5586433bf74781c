import type { MoveRow } from '../../agent/store/move-store.ts'

/** A move to this blade, as prepare-incoming leaves it: `m1`, from blade01, its door open. */
export function preparedMove(change: Partial<MoveRow> = {}): MoveRow {
  return {
    moveId: 'm1',
    direction: 'in',
    state: 'prepared',
    vmId: 'vm-1',
    vmName: 'web01',
    peerBlade: 'blade01',
    peerAddress: '',
    epoch: 1,
    volumes: [],
    note: {},
    ...change,
  }
}
