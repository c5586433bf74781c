import { LifeboatError } from '../../shared/errors.ts'

/** A lifeline between an agent and the world below it; cutting it is the agent's sudden death. */
export interface Lifeline {
  readonly isCut: boolean
  /** From now on calls of the agent, also those under way, come back neither with an answer nor with an error. */
  cut(): void
  /** Lets what hangs end with `aborted`. Only once the agent is closing: its sagas then journal nothing of it. */
  bury(): void
  /** After each call that came back: the place to cut right behind an effect. */
  onReturn: (seam: string, method: string) => void
  /** Settles by rejecting, in `bury`. */
  readonly end: Promise<never>
}

export function createLifeline(): Lifeline {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => {})
  let isCut = false
  return {
    get isCut() {
      return isCut
    },
    cut() {
      isCut = true
    },
    bury() {
      reject(new LifeboatError('aborted', 'the agent is dead'))
    },
    onReturn: () => {},
    end: promise,
  }
}

/**
 * The same seam, dead for its caller once the lifeline is cut, while what lives below goes on: a call under way
 * finishes its work unseen, an abort that the dying agent still sends is not heard. A process that gets SIGKILL
 * cannot say goodbye either.
 */
export function severable<Seam extends object>(name: string, seam: Seam, lifeline: Lifeline): Seam {
  return new Proxy(seam, {
    get(target, property) {
      const value = Reflect.get(target, property) as unknown
      if (typeof value !== 'function') return value
      return (...args: unknown[]) => {
        if (lifeline.isCut) return lifeline.end
        const result: unknown = value.apply(
          target,
          args.map(arg => deafen(arg, lifeline)),
        )
        if (!(result instanceof Promise)) return result
        const seen = result.then(
          answer => {
            lifeline.onReturn(name, String(property))
            return lifeline.isCut ? lifeline.end : answer
          },
          error => {
            if (lifeline.isCut) return lifeline.end
            throw error
          },
        )
        return Promise.race([seen, lifeline.end])
      }
    },
  })
}

/** Options with a signal get one that falls silent with the lifeline; a callback is no longer called. */
function deafen(arg: unknown, lifeline: Lifeline): unknown {
  if (typeof arg === 'function') {
    return (...args: unknown[]) =>
      lifeline.isCut ? undefined : (arg as (...all: unknown[]) => unknown)(...args)
  }
  const signal = (arg as { signal?: unknown } | null | undefined)?.signal
  if (!(signal instanceof AbortSignal)) return arg
  const heard = new AbortController()
  const forward = () => {
    if (!lifeline.isCut) heard.abort(signal.reason)
  }
  if (signal.aborted) forward()
  signal.addEventListener('abort', forward, { once: true })
  return { ...(arg as object), signal: heard.signal }
}
