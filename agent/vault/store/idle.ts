import type { Clock } from '../../../shared/clock.ts'
import type { BackupSession } from '../vault.ts'

/** A backup session that is watched for signs of life. */
export interface WatchedSession {
  readonly session: BackupSession
  /** Since nothing was asked of it. 0 while a request is being answered, which may take long. */
  idleMs(): number
}

/** Every request is a sign of life, also one that fails. */
export function watchSession(watched: BackupSession, clock: Clock): WatchedSession {
  let open = 0
  let lastAt = clock.now()
  const seen = async <T>(act: () => Promise<T>): Promise<T> => {
    open++
    try {
      return await act()
    } finally {
      open--
      lastAt = clock.now()
    }
  }
  return {
    idleMs: () => (open > 0 ? 0 : clock.now() - lastAt),
    session: {
      missing: ids => seen(() => watched.missing(ids)),
      put: chunks => seen(() => watched.put(chunks)),
      putIndex: (target, bytes) => seen(() => watched.putIndex(target, bytes)),
      publish: manifest => seen(() => watched.publish(manifest)),
      abort: () => seen(() => watched.abort()),
    },
  }
}
