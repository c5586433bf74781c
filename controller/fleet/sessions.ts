import type { ToAgent } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'

/** One open stream to an agent, without the transport's own words. */
export interface AgentLink {
  readonly address: string
  send(message: ToAgent): void
  /** Ends the stream; with an error the agent is told why. */
  end(error?: LifeboatError): void
}

export interface Session {
  readonly blade: string
  readonly link: AgentLink
  readonly openedAt: number
}

/** Which agents are connected. One session a blade: the newest wins, for the older one is a dead connection. */
export interface Sessions {
  open(blade: string, link: AgentLink, now: number): Session
  /** Does nothing when a newer session has taken its place. */
  closed(session: Session): void
  isConnected(blade: string): boolean
  /** False when the blade is not connected: the caller keeps the message for the next session. */
  send(blade: string, message: ToAgent): boolean
  /** Ends every session: the controller stops, or a blade was removed. */
  end(blade?: string): void
}

/** In memory only: after a restart the agents dial again. */
export function createSessions(log: Logger): Sessions {
  const sessions = new Map<string, Session>()
  return {
    open: (blade, link, now) => {
      const older = sessions.get(blade)
      if (older !== undefined) {
        log.warn(
          `blade ${blade}: a new session from ${link.address} replaces the one from ${older.link.address}`,
        )
      }
      const session = { blade, link, openedAt: now }
      sessions.set(blade, session)
      older?.link.end()
      return session
    },
    closed: session => {
      if (sessions.get(session.blade) === session) sessions.delete(session.blade)
    },
    isConnected: blade => sessions.has(blade),
    send: (blade, message) => {
      const session = sessions.get(blade)
      session?.link.send(message)
      return session !== undefined
    },
    end: blade => {
      for (const session of [...sessions.values()]) {
        if (blade !== undefined && session.blade !== blade) continue
        sessions.delete(session.blade)
        session.link.end()
      }
    },
  }
}
