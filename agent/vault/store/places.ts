import { MINUTE_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { BackupSession } from '../vault.ts'
import type { StoreContext } from './context.ts'
import { type WatchedSession, watchSession } from './idle.ts'

/** It backs up one VM at a time; the second is for the one that begins while the vault has yet to see a connection die. */
const PLACES_OF_BLADE = 2
/** Nobody works on it any more; an agent that reads for long says so more often (agent/backup/transfer). */
const IDLE_LIMIT_MS = 10 * MINUTE_MS

/** The places for backups coming in: of no blade more than its share, and only for those that work. */
export interface Places {
  /** A place for a backup that is about to begin, until the answer is called. Throws `busy`. */
  reserve(blade: string): () => void
  take(name: string, blade: string, vm: string, session: BackupSession): BackupSession
  leave(name: string): void
  /** Ends those nobody works on. Looked at whenever a place or the state of the vault is asked for. */
  endIdle(): void
  abortAll(): Promise<void>
}

interface Taken extends WatchedSession {
  /** '' for a writer on this host: it is alone, and is held to nothing. */
  readonly blade: string
  readonly vm: string
}

export function createPlaces(count: number, { clock, log }: Pick<StoreContext, 'clock' | 'log'>): Places {
  const taken = new Map<string, Taken>()
  const beginning: string[] = []

  /** Not waited for: to keep what came may take long. Its place is free when that is done. */
  const endIdle = (): void => {
    for (const { session, idleMs, blade, vm } of taken.values()) {
      if (blade === '' || idleMs() <= IDLE_LIMIT_MS) continue
      log.warn(
        `backup of ${vm} by ${blade} is ended: nothing came of it for ${IDLE_LIMIT_MS / MINUTE_MS} min`,
      )
      session.abort().catch(error => log.warn('cannot end an idle backup', { vm, blade, error }))
    }
  }

  return {
    endIdle,
    reserve: blade => {
      endIdle()
      const own = [...[...taken.values()].map(each => each.blade), ...beginning].filter(
        each => each === blade,
      )
      if (taken.size + beginning.length >= count) {
        throw new LifeboatError(
          'busy',
          `the vault takes ${count} backups at once, and they run: try again later`,
        )
      }
      if (blade !== '' && own.length >= PLACES_OF_BLADE) {
        throw new LifeboatError(
          'busy',
          `${own.length} backups of ${blade} come in already, one blade has ${PLACES_OF_BLADE} places: try again later`,
        )
      }
      beginning.push(blade)
      return () => void beginning.splice(beginning.indexOf(blade), 1)
    },
    take: (name, blade, vm, session) => {
      const watched = watchSession(session, clock)
      taken.set(name, { ...watched, blade, vm })
      return watched.session
    },
    leave: name => void taken.delete(name),
    abortAll: async () => {
      for (const { session } of [...taken.values()]) await session.abort()
    },
  }
}
