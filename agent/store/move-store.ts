import type Database from 'better-sqlite3'
import type { Clock } from '../../shared/clock.ts'
import type { Volume } from '../../shared/domain/fleet.ts'

/**
 * A move as one end of it sees it. The row is the memory that makes rule 1 hold over a crash: it is written (fsync)
 * before the act it allows.
 */
export const INCOMING_STATES = {
  prepared: 'the door is open; the VM may arrive, and must not run',
  released: 'the source has let go, or the controller says so: the VM may run',
  confirmed: 'the VM belongs to this blade; the door is closed',
  discarded: 'ended without the VM; nothing of this move is let in again',
} as const
export const OUTGOING_STATES = {
  held: 'the VM is about to leave; nothing has been sent',
  sending: 'the VM may already be at the target, paused',
  released: 'the target was, or is being, told that it may run the VM; this blade may not',
  gone: 'the VM belongs to the target',
} as const
export type MoveState = keyof typeof INCOMING_STATES | keyof typeof OUTGOING_STATES

/** What the ends tell each other on the way. */
export interface MoveNote {
  /** Did the source start the VM at boot? The target shall. Unknown until the source said so. */
  readonly autostart?: boolean
  /** From the source letting go to the VM running at the target, ms. */
  readonly handoverMs?: number
  /** The boot of this blade in which the VM first ran here: if it is off later in the same boot, somebody wanted so. */
  readonly ranInBoot?: string
}

export interface MoveRow {
  readonly moveId: string
  readonly direction: 'in' | 'out'
  readonly state: MoveState
  readonly vmId: string
  readonly vmName: string
  readonly peerBlade: string
  readonly peerAddress: string
  readonly epoch: number
  readonly volumes: readonly Volume[]
  readonly note: MoveNote
}

export interface MoveStore {
  /** Writes the row as it is given; a row of that move is replaced. */
  put(row: MoveRow): void
  load(moveId: string): MoveRow | undefined
  /** Atomic: changes the state only when it is one of `from`. False: it was not. */
  advance(moveId: string, from: readonly MoveState[], to: MoveState): boolean
  note(moveId: string, note: MoveNote): void
  /** Moves that hold a VM: neither confirmed nor discarded nor gone. */
  open(): readonly MoveRow[]
  openOf(vmId: string): MoveRow | undefined
  remove(moveId: string): void
}

/** Ended rows kept as a memory, so that a late message of an old move is refused with its true reason. */
const REMEMBERED_MOVES = 500
const ENDED = `('confirmed', 'discarded', 'gone')`

interface MoveSqlRow {
  move_id: string
  direction: 'in' | 'out'
  state: MoveState
  vm_id: string
  vm_name: string
  peer_blade: string
  peer_address: string
  epoch: number
  volumes: string
  note: string
}

/** Moves in the agent's database. */
export function createMoveStore(db: Database.Database, clock: Clock): MoveStore {
  const insert = db.prepare(
    `INSERT OR REPLACE INTO moves
       (move_id, direction, state, vm_id, vm_name, peer_blade, peer_address, epoch, volumes, note, changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const byId = db.prepare('SELECT * FROM moves WHERE move_id = ?')
  const setState = db.prepare('UPDATE moves SET state = ?, changed_at = ? WHERE move_id = ?')
  const setNote = db.prepare('UPDATE moves SET note = ?, changed_at = ? WHERE move_id = ?')
  const open = db.prepare(`SELECT * FROM moves WHERE state NOT IN ${ENDED} ORDER BY move_id`)
  const openOf = db.prepare(
    `SELECT * FROM moves WHERE vm_id = ? AND state NOT IN ${ENDED} ORDER BY epoch DESC`,
  )
  const remove = db.prepare('DELETE FROM moves WHERE move_id = ?')
  const prune = db.prepare(
    `DELETE FROM moves WHERE state IN ${ENDED} AND move_id NOT IN
       (SELECT move_id FROM moves WHERE state IN ${ENDED} ORDER BY changed_at DESC LIMIT ${REMEMBERED_MOVES})`,
  )
  const load = (moveId: string): MoveRow | undefined => toMove(byId.get(moveId) as MoveSqlRow | undefined)

  return {
    put: db.transaction((row: MoveRow) => {
      insert.run(
        row.moveId,
        row.direction,
        row.state,
        row.vmId,
        row.vmName,
        row.peerBlade,
        row.peerAddress,
        row.epoch,
        JSON.stringify(row.volumes),
        JSON.stringify(row.note),
        clock.now(),
      )
      prune.run()
    }),
    load,
    advance: db.transaction((moveId: string, from: readonly MoveState[], to: MoveState) => {
      const row = load(moveId)
      if (row === undefined || !from.includes(row.state)) return false
      setState.run(to, clock.now(), moveId)
      return true
    }),
    note: db.transaction((moveId: string, note: MoveNote) => {
      const row = load(moveId)
      if (row !== undefined) setNote.run(JSON.stringify({ ...row.note, ...note }), clock.now(), moveId)
    }),
    open: () => (open.all() as MoveSqlRow[]).flatMap(row => toMove(row) ?? []),
    openOf: vmId => toMove(openOf.get(vmId) as MoveSqlRow | undefined),
    remove: moveId => void remove.run(moveId),
  }
}

function toMove(row: MoveSqlRow | undefined): MoveRow | undefined {
  if (row === undefined) return undefined
  return {
    moveId: row.move_id,
    direction: row.direction,
    state: row.state,
    vmId: row.vm_id,
    vmName: row.vm_name,
    peerBlade: row.peer_blade,
    peerAddress: row.peer_address,
    epoch: row.epoch,
    volumes: JSON.parse(row.volumes) as Volume[],
    note: JSON.parse(row.note) as MoveNote,
  }
}
