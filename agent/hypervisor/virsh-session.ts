import { randomUUID } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/** What a virsh printed, without the marks, and when. */
export interface SessionAnswer {
  readonly stdout: string
  readonly stderr: string
  readonly startedAt: number
  readonly durationMs: number
}

/**
 * A virsh that stays connected. A question typed into it costs 10 to 30 ms on a slow blade; a process that starts,
 * connects and ends costs 130, and a VM between two blades stands still for three of them.
 */
export interface VirshSession {
  /** From the first call until all returned functions were called a virsh is kept; it starts with the first question. */
  keep(): () => void
  /**
   * Types one command line. Undefined when it cannot be had from here: nobody keeps a session, it is at another
   * question (none waits behind one that hangs), or it ended or lost libvirt. The line may have been carried out then, so
   * it must be one that may be repeated. Throws `timeout`; the session is over then.
   */
  ask(line: string, timeoutMs: number): Promise<SessionAnswer | undefined>
}

interface Question {
  readonly mark: string
  readonly stdout: string[]
  readonly stderr: string[]
  state: { begun: boolean; printed: boolean; complained: boolean }
  readonly over: PromiseWithResolvers<{ stdout: string; stderr: string } | undefined>
}

interface Life {
  question: Question | undefined
  write(line: string): void
  end(): void
}

/** `argv` is virsh without a command: it reads them from its standard input. `isLost` knows a complaint about a lost libvirt. */
export function createVirshSession(options: {
  readonly run: CommandRunner
  readonly argv: readonly string[]
  readonly isLost: (stderr: string) => boolean
  readonly clock: Clock
}): VirshSession {
  const { run, argv, isLost, clock } = options
  let keepers = 0
  let life: Life | undefined

  function begin(): Life {
    const end = (): void => {
      if (life === mine) life = undefined
      mine.question?.over.resolve(undefined)
      mine.question = undefined
    }
    const program = run.follow(argv, {
      // Its line editor repeats each line on standard output; with this it does nothing else.
      env: { TERM: 'dumb' },
      onLine: line => hear(mine, line),
      // What is said when nothing was asked is that libvirt is gone. It would connect again, but never say so in time.
      onErrorLine: line => (mine.question === undefined ? mine.end() : hearComplaint(mine, line)),
      onEnd: end,
    })
    const mine: Life = {
      question: undefined,
      write: line => program.write(line),
      end: () => {
        program.stop()
        end()
      },
    }
    return mine
  }

  return {
    keep: () => {
      keepers += 1
      let kept = true
      return () => {
        if (!kept) return
        kept = false
        keepers -= 1
        if (keepers === 0) life?.end()
      }
    },
    ask: async (line, timeoutMs) => {
      if (keepers === 0 || life?.question !== undefined) return undefined
      life ??= begin()
      const mine = life
      const question = createQuestion()
      mine.question = question
      const { mark, over } = question
      const startedAt = clock.now()
      // Both pipes end with the mark. It cannot be guessed: a definition holds what an administrator wrote into it.
      mine.write(`echo ${mark}; ${line}; echo ${mark}; echo --err ${mark}`)
      const answered = new AbortController()
      void clock.sleep(timeoutMs, answered.signal).then(() => {
        if (answered.signal.aborted) return
        over.reject(new LifeboatError('timeout', `virsh did not answer within ${timeoutMs} ms`))
        mine.end()
      })
      try {
        const text = await over.promise
        if (text !== undefined && !isLost(text.stderr))
          return { ...text, startedAt, durationMs: clock.now() - startedAt }
        mine.end()
        return undefined
      } finally {
        answered.abort()
      }
    },
  }
}

function createQuestion(): Question {
  return {
    mark: `lifeboat-${randomUUID()}`,
    stdout: [],
    stderr: [],
    state: { begun: false, printed: false, complained: false },
    over: Promise.withResolvers(),
  }
}

function hear(life: Life, line: string): void {
  const { question } = life
  if (question === undefined) return
  const { state, mark, stdout } = question
  if (line !== mark) {
    if (state.begun) stdout.push(line)
    return
  }
  if (state.begun) state.printed = true
  state.begun = true
  settle(life, question)
}

function hearComplaint(life: Life, line: string): void {
  const { question } = life
  if (question === undefined) return
  if (line.endsWith(question.mark)) question.state.complained = true
  else question.stderr.push(line)
  settle(life, question)
}

function settle(life: Life, { state, stdout, stderr, over }: Question): void {
  if (!state.printed || !state.complained) return
  life.question = undefined
  over.resolve({ stdout: joined(stdout), stderr: joined(stderr) })
}

const joined = (lines: readonly string[]): string => lines.map(line => `${line}\n`).join('')
