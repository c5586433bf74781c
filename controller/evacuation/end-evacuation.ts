import { LifeboatError } from '../../shared/errors.ts'
import type { Operations } from '../operations/operations.ts'
import type { OperationServices } from '../operations/services.ts'
import type { EvacuationRecord } from '../store/evacuations.ts'
import { skipMove } from './evacuation-story.ts'
import { summary } from './evacuation-words.ts'

export interface Ending {
  /** See Evacuations. */
  abort(id: string, by: string): void
  /** Once in each life of the controller: one that was killed half way through an abort goes on with it. */
  abortRunning(evacuation: EvacuationRecord, by: string): void
  /** Says how it ended, when no move of it works or waits any more. */
  endIfDone(id: string): void
}

/** How an evacuation comes to its end: by itself, aborted by a person, or by its deadline (rule 11). */
export function createEnding(
  services: Pick<OperationServices, 'store' | 'fleet' | 'clock' | 'log'>,
  operations: Pick<Operations, 'setState' | 'abort'>,
): Ending {
  const { store, fleet, clock } = services
  const toldToAbort = new Set<string>()

  const abortRunning: Ending['abortRunning'] = (evacuation, by) => {
    for (const move of evacuation.moves) {
      if (move.state !== 'running' || toldToAbort.has(move.operation)) continue
      toldToAbort.add(move.operation)
      operations.abort(move.operation, by)
    }
  }

  return {
    abortRunning,
    abort: (id, by) => {
      const evacuation = store.evacuations.get(id)
      if (evacuation === undefined || evacuation.state === 'ended') {
        throw new LifeboatError(
          'not-found',
          `no evacuation ${id} is under way; lifeboat operation list --all`,
        )
      }
      store.evacuations.setState(id, 'aborting', 0)
      operations.setState(id, 'aborting', { outcome: `abort asked by ${by}` })
      abortRunning(evacuation, by)
    },
    endIfDone: id => {
      const evacuation = store.evacuations.get(id)
      if (evacuation === undefined || evacuation.moves.some(move => move.state === 'running')) return
      if (evacuation.state === 'running' && evacuation.moves.some(move => move.state === 'planned')) return
      for (const move of evacuation.moves)
        if (move.state === 'planned') skipMove(services, id, move, 'the evacuation was aborted')
      const now = clock.now()
      const end = summary(
        store.evacuations.get(id) ?? evacuation,
        store.plans.get(evacuation.plan),
        fleet.snapshot(now),
        now,
        (store.operations.get(id)?.deadlineAt ?? 0) < now,
      )
      store.transaction(() => {
        store.evacuations.setState(id, 'ended', now)
        operations.setState(id, end.state, { outcome: end.outcome, nextCommand: end.nextCommand })
      })
    },
  }
}
