import type { Event, FromAgent, Hello, Report } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Peer } from '../../shared/rpc/endpoint.ts'
import { MIN_PROTOCOL_VERSION, PROTOCOL_VERSION, VERSION } from '../../shared/version.ts'
import { reportFromWire } from '../../shared/wire/convert.ts'
import type { Orders } from '../operations/orders.ts'
import type { BackupOutcome } from '../store/backups.ts'
import type { Store } from '../store/store.ts'
import type { JoinRole } from '../store/tokens.ts'
import type { FleetState } from './fleet-state.ts'
import { reachable } from './peer-address.ts'
import type { AgentLink, Session, Sessions } from './sessions.ts'

/** One stream of an agent: messages in, until it is closed. */
export interface Conversation {
  receive(message: FromAgent): void
  closed(): void
}

/** Reports in; they are stored, nothing is decided here. */
export interface Intake {
  /** Throws `not-allowed` when this peer may not speak for a blade; the rpc server logs every refusal. */
  open(peer: Peer, link: AgentLink): Conversation
  /** The blade this peer speaks for; throws as `open` does. */
  requireBlade(peer: Peer): string
  /** The blade or vault this peer is; throws as `open` does. A vault may do nothing here but renew its certificate. */
  requireMember(peer: Peer): { readonly role: JoinRole; readonly name: string }
}

export interface IntakeOptions {
  readonly store: Store
  readonly fleet: FleetState
  readonly sessions: Sessions
  readonly orders: Orders
  readonly clock: Clock
  readonly log: Logger
  readonly reportIntervalMs: number
  /** Told of each greeting, right behind the welcome. */
  readonly settingsPush: { connected(blade: string, now: number): void }
  /** A blade has ended a backup that it began by itself. */
  readonly backupEnded: (end: BackupOutcome) => void
  /** Something new is known. */
  readonly nudge: () => void
}

/** Errors end the stream they come from and nothing else. */
export function createIntake(options: IntakeOptions): Intake {
  const { store } = options
  const requireBlade = (peer: Peer): string => {
    if (peer.role !== 'blade') {
      throw new LifeboatError('not-allowed', `a certificate of role ${peer.role} does not speak for a blade`)
    }
    // Signed by our CA is not enough: a blade that was removed, or joined anew, left a certificate behind.
    if (!store.blades.hasCertificate(peer.name, peer.fingerprint)) {
      throw new LifeboatError(
        'not-allowed',
        `this certificate of ${peer.name} is not valid any more: the blade was removed or has joined anew`,
      )
    }
    return peer.name
  }
  const requireMember: Intake['requireMember'] = peer => {
    if (peer.role !== 'vault') return { role: 'blade', name: requireBlade(peer) }
    if (!store.vaults.hasCertificate(peer.name, peer.fingerprint)) {
      throw new LifeboatError(
        'not-allowed',
        `this certificate of ${peer.name} is not valid any more: the vault was removed or has joined anew`,
      )
    }
    return { role: 'vault', name: peer.name }
  }
  const newest = new Map<string, AgentLink>()
  return {
    requireBlade,
    requireMember,
    open: (peer, link) => converse(options, newest, requireBlade(peer), peer, link),
  }
}

function converse(
  options: IntakeOptions,
  newest: Map<string, AgentLink>,
  blade: string,
  peer: Peer,
  link: AgentLink,
): Conversation {
  const { store, fleet, sessions, orders, clock, log } = options
  let session: Session | undefined
  let lastSequence = -1
  let badReport = ''

  const hello = (message: Hello) => {
    if (message.blade !== blade) {
      throw new LifeboatError('not-allowed', `a certificate of ${blade} cannot speak for ${message.blade}`)
    }
    const mismatch = versionMismatch(message, blade)
    if (mismatch !== undefined) {
      if (store.blades.get(blade)?.refusal !== mismatch) {
        log.warn(`blade ${blade}: ${mismatch}`)
        store.blades.update(blade, { refusal: mismatch })
        options.nudge()
      }
      throw new LifeboatError('version-mismatch', mismatch)
    }
    const now = clock.now()
    store.blades.update(blade, {
      peerAddress: reachable(message.peerAddress, peer.address),
      agentVersion: message.agentVersion,
      refusal: '',
    })
    session = sessions.open(blade, link, now)
    newest.set(blade, link)
    log.info(`blade ${blade}: connected from ${peer.address}, agent ${message.agentVersion}`)
    link.send({
      kind: {
        $case: 'welcome',
        value: {
          protocol: PROTOCOL_VERSION,
          controllerVersion: VERSION,
          reportIntervalMs: options.reportIntervalMs,
        },
      },
    })
    options.settingsPush.connected(blade, now)
    for (const status of message.orders) orders.received(blade, status)
    orders.connected(blade)
    options.nudge()
  }

  const report = (message: Report) => {
    // Of this session only: an agent that starts anew counts anew.
    if (message.sequence <= lastSequence) {
      log.debug(`blade ${blade}: report ${message.sequence} is older than ${lastSequence}: ignored`)
      return
    }
    lastSequence = message.sequence
    try {
      fleet.accept(blade, reportFromWire(message), clock.now())
      badReport = ''
      options.nudge()
    } catch (error) {
      // Whole or not at all: half a report would be a wrong picture. Told once, not every five seconds.
      const text = formatErrorChain(error)
      if (text === badReport) return
      badReport = text
      log.warn(`blade ${blade}: report refused: ${text}`)
      store.stories.tell('blade', blade, clock.now(), `report refused: ${text}`)
    }
  }

  const event = (message: Event) => {
    const { id, at, kind, vm, text } = message
    if (store.stories.addEvent({ id: `${blade}/${id}`, blade, at, kind, vm, text })) {
      const now = clock.now()
      store.stories.tell('blade', blade, now, `${kind}: ${text}`)
      // A name may have been borne by others before; the blade speaks of its own.
      const isIt = (each: { id: string; name: string }) => each.name === vm || each.id === vm
      const known = store.blades.get(blade)?.report?.vms.find(isIt) ?? store.vms.list().find(isIt)
      if (known !== undefined) store.stories.tell('vm', known.id, now, `${blade}: ${kind}: ${text}`)
      if (known !== undefined && (kind === 'backup-done' || kind === 'backup-failed')) {
        const ok = kind === 'backup-done'
        options.backupEnded({ vmId: known.id, at, ok, blade, source: 'schedule', text: ok ? '' : text })
      }
      log.info(`blade ${blade}: ${kind}: ${text}`)
    }
    // Also for one that was here before: the agent sends it until it hears this.
    link.send({ kind: { $case: 'eventReceived', value: { id } } })
  }

  return {
    receive: message => {
      const kind = message.kind
      if (session === undefined) {
        if (kind?.$case !== 'hello') {
          throw new LifeboatError('bad-input', 'the first message of a session must be hello')
        }
        hello(kind.value)
        return
      }
      // What a replaced session still has on its way is older than what the new one has said.
      if (newest.get(blade) !== link) return
      if (kind?.$case === 'report') report(kind.value)
      else if (kind?.$case === 'event') event(kind.value)
      else if (kind?.$case === 'orderStatus') orders.received(blade, kind.value)
    },
    closed: () => {
      if (session === undefined) return
      sessions.closed(session)
      log.info(`blade ${blade}: disconnected`)
      session = undefined
    },
  }
}

/** In words that say which side to upgrade; undefined when the two fit. */
export function versionMismatch(
  hello: Pick<Hello, 'protocol' | 'agentVersion'>,
  blade: string,
): string | undefined {
  if (hello.protocol < MIN_PROTOCOL_VERSION) {
    return `the agent on ${blade} (${hello.agentVersion}) is too old for this controller (${VERSION}): it speaks protocol ${hello.protocol}, ${MIN_PROTOCOL_VERSION} is needed; upgrade Lifeboat on ${blade}`
  }
  if (hello.protocol > PROTOCOL_VERSION) {
    return `the agent on ${blade} (${hello.agentVersion}) is newer than this controller (${VERSION}): it speaks protocol ${hello.protocol}, here ${PROTOCOL_VERSION} is the newest; upgrade Lifeboat on the controller`
  }
  return undefined
}
