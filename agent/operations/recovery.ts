import { formatErrorChain } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import { type BackupRecoveryOptions, releaseKilledBackups } from '../backup/recovery.ts'
import type { Hypervisor } from '../hypervisor/hypervisor.ts'
import type { MoveRow, MoveStore } from '../store/move-store.ts'
import type { OrderDesk } from './order-desk.ts'

export interface RecoveryOptions {
  readonly backups: BackupRecoveryOptions
  readonly desk: OrderDesk
  readonly moves: MoveStore
  readonly hypervisor: Hypervisor
  readonly runFor: (moveId: string) => CommandRunner
  readonly bootId: string
  readonly log: Logger
}

/**
 * At start, before the controller is dialled: what an earlier process of this agent was in the middle of.
 *  - Orders go on from the journal; unknown steps are probed first.
 *  - Doors need nothing: the peer server reads the rows of open moves.
 *  - A VM whose source has let go, and which the killed process had not resumed yet, is resumed (the row says that it
 *    may run, rule 1); if that fails the controller's ConfirmIncoming does it.
 *  - What a killed backup holds is let go before anything else (rule 2); the order to pause is a person's, and stands.
 */
export async function recover(options: RecoveryOptions): Promise<void> {
  const { moves, log } = options
  for (const move of moves.open()) {
    log.info(`vm ${move.vmName}: move ${move.moveId} is ${move.state} here (${arrow(move)})`)
  }
  await releaseKilledBackups(options.backups)
  options.desk.resume()
  for (const move of moves.open()) {
    if (move.direction === 'in' && move.state === 'released' && move.note.ranInBoot === undefined)
      await runReleased(options, move)
  }
}

async function runReleased(
  { moves, hypervisor, runFor, bootId, log }: RecoveryOptions,
  move: MoveRow,
): Promise<void> {
  try {
    if ((await hypervisor.state(move.vmId)) !== 'paused') return
    await hypervisor.resume(move.vmId, runFor(move.moveId))
    moves.note(move.moveId, { ranInBoot: bootId })
    log.info(`vm ${move.vmName}: arriving => running (move ${move.moveId}, after a restart of the agent)`)
  } catch (error) {
    log.warn(`vm ${move.vmName}: could not be resumed after its move, the controller will ask again`, {
      error: formatErrorChain(error),
    })
  }
}

function arrow(move: MoveRow): string {
  return move.direction === 'in' ? `from ${move.peerBlade}` : `to ${move.peerBlade}`
}
