import type { Clock } from '../../shared/clock.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import { eventEffect, parseEventLine } from './virsh-text.ts'

/**
 * `uri` answers once the connection stands, and that is the only sign of life of `virsh event` before the first event.
 * The registration of its two dozen callbacks follows; what happens in between is not told.
 */
const EVENT_COMMAND = 'uri; event --all --loop --timestamp'
/** Longer than the registration takes on a busy blade; nothing read before it is trusted. */
const SETTLE_MS = 2000
const FIRST_RETRY_MS = 1000
/** libvirtd is back within seconds of a restart; an upgrade may take longer, and nobody waits for us. */
const LAST_RETRY_MS = 30_000

/** A moment in the stream; what was read after it is fresh as long as `changedSince` says no. */
export interface EventMark {
  readonly run: number
  readonly event: number
}

/** What libvirt tells by itself: one long-lived `virsh event` instead of a process each few seconds. */
export interface EventStream {
  /** Calls back after every event that matters, and whenever events may have been missed. Returns the stop function. */
  subscribe(onChange: () => void): () => void
  /** undefined while the stream is not up: nothing read now can be kept. */
  mark(): EventMark | undefined
  /** May the definition of the VM of that name have changed since? True when the stream was interrupted. */
  changedSince(mark: EventMark, name: string): boolean
}

/** Runs from the first subscriber to the last. `argv` makes the command line of a virsh command. */
export function createEventStream(options: {
  readonly run: CommandRunner
  readonly argv: (words: readonly string[]) => readonly string[]
  readonly clock: Clock
  readonly log: Logger
}): EventStream {
  const subscribers = new Set<() => void>()
  const definitionEvents = new Map<string, number>()
  let run = 0
  let event = 0
  let up = false
  let stopping: AbortController | undefined

  const tellAll = (): void => {
    for (const onChange of [...subscribers]) onChange()
  }

  function onLine(line: string): void {
    const parsed = parseEventLine(line)
    const effect = parsed === undefined ? 'none' : eventEffect(parsed)
    if (parsed === undefined || effect === 'none') return
    event += 1
    if (effect !== 'state') definitionEvents.set(parsed.name, event)
    if (effect !== 'later') tellAll()
  }

  /** One life of the process; resolves when it ended. */
  async function follow(stop: AbortSignal): Promise<void> {
    const ended = Promise.withResolvers<void>()
    const over = new AbortController()
    let connected = false
    const program = options.run.follow(options.argv([EVENT_COMMAND]), {
      onLine: line => {
        if (!connected && line.includes('://')) {
          connected = true
          void settle(AbortSignal.any([over.signal, stop]))
        } else onLine(line)
      },
      onEnd: () => ended.resolve(),
    })
    const stopProgram = () => {
      program.stop()
      ended.resolve()
    }
    stop.addEventListener('abort', stopProgram, { once: true })
    await ended.promise
    stop.removeEventListener('abort', stopProgram)
    over.abort()
  }

  async function settle(over: AbortSignal): Promise<void> {
    await options.clock.sleep(SETTLE_MS, over)
    if (over.aborted) return
    run += 1
    up = true
    definitionEvents.clear()
    options.log.info('libvirt events: waiting => up')
    tellAll()
  }

  async function keepFollowing(stop: AbortSignal): Promise<void> {
    let retryMs = FIRST_RETRY_MS
    while (!stop.aborted) {
      await follow(stop)
      if (stop.aborted) break
      // What is up has served its turn: the next outage starts with the short wait again.
      if (up) retryMs = FIRST_RETRY_MS
      if (up) options.log.warn('libvirt events: up => lost; is libvirtd running? systemctl status libvirtd')
      up = false
      tellAll()
      await options.clock.sleep(retryMs, stop)
      retryMs = Math.min(retryMs * 2, LAST_RETRY_MS)
    }
  }

  return {
    subscribe: onChange => {
      // A wrapper, so that subscribing one function twice gives two subscriptions.
      const subscriber = () => onChange()
      subscribers.add(subscriber)
      if (stopping === undefined) {
        stopping = new AbortController()
        void keepFollowing(stopping.signal)
      }
      return () => {
        subscribers.delete(subscriber)
        if (subscribers.size > 0) return
        stopping?.abort()
        stopping = undefined
        up = false
      }
    },
    mark: () => (up ? { run, event } : undefined),
    changedSince: (mark, name) => !up || mark.run !== run || (definitionEvents.get(name) ?? 0) > mark.event,
  }
}
