import { randomUUID } from 'node:crypto'
import type { Clock } from '../../shared/clock.ts'
import type { CommandRunner } from '../../shared/exec.ts'

/** What one command line printed, the marks removed. `startedAt`: epoch ms. */
export interface SessionAnswer {
  readonly stdout: string
  readonly stderr: string
  readonly startedAt: number
  readonly durationMs: number
  /** It did not end within its limit: nothing is known, and the session is over. */
  readonly isLate: boolean
}

/**
 * A virsh that stays connected. A process that starts, connects and ends costs 20 to 100 ms of CPU on a real machine and 130
 * on a blade of the lab, a line typed into this one 10 to 35 there; a VM between two blades stands still for three of them.
 * Not the console of backup/lvm: that one is opened for one backup and waits for one known line; here the whole answer is
 * wanted, and a process takes over when it fails.
 */
export interface VirshSession {
  /**
   * Holds the session open until the returned function is called (idempotent). virsh starts with the first question while
   * anybody holds it, and ends with the last holder.
   */
  keep(): () => void
  /**
   * Types one command line. Undefined when it cannot be had from here: nobody keeps a session, it is at another
   * question (none waits behind one that hangs), or it ended or lost libvirt. The line may have been carried out then, so
   * it must be one that may be repeated. Never throws.
   */
  ask(line: string, timeoutMs: number): Promise<SessionAnswer | undefined>
}

/** After the mark of a question: both pipes have told all of it. */
const OVER = '-over'

interface Question {
  readonly mark: string
  readonly stdout: string[]
  readonly stderr: string[]
  readonly seen: { marks: number; stdoutOver: boolean; stderrOver: boolean }
  readonly over: PromiseWithResolvers<Pick<SessionAnswer, 'stdout' | 'stderr' | 'isLate'> | undefined>
}

interface Connection {
  question: Question | undefined
  write(line: string): void
  end(): void
}

/** `argv` is virsh without a command: it reads them from its standard input. `saysLost`: whether it complains of a lost libvirt. */
export function createVirshSession(options: {
  readonly run: CommandRunner
  readonly argv: readonly string[]
  readonly saysLost: (stderr: string) => boolean
  readonly clock: Clock
}): VirshSession {
  const { run, argv, saysLost, clock } = options
  let keepers = 0
  let connection: Connection | undefined

  function connect(): Connection {
    const end = (): void => {
      if (connection === mine) connection = undefined
      mine.question?.over.resolve(undefined)
      mine.question = undefined
    }
    const program = run.follow(argv, {
      // Its line editor repeats each line on standard output; with this it does nothing else.
      env: { TERM: 'dumb' },
      onLine: line => onStdoutLine(mine, line),
      // What is said when nothing was asked is that libvirt is gone. It would connect again, but never say so in time.
      onErrorLine: line => (mine.question === undefined ? mine.end() : onStderrLine(mine, line)),
      onEnd: end,
    })
    const mine: Connection = {
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
        // What is being carried out is not cut off: a process would repeat it.
        if (keepers === 0 && connection?.question === undefined) connection?.end()
      }
    },
    ask: async (line, timeoutMs) => {
      if (keepers === 0 || connection?.question !== undefined) return undefined
      connection ??= connect()
      const mine = connection
      const question = createQuestion()
      mine.question = question
      const { mark, over } = question
      const startedAt = clock.now()
      // The mark ends the answer on both pipes. It is random: a definition holds what an administrator wrote, and must not
      // be able to end one.
      mine.write(`echo ${mark}; ${line}; echo ${mark}`)
      // A line of its own: of one it cannot parse virsh carries out nothing, not even the marks.
      mine.write(`echo ${mark}${OVER}; echo --err ${mark}${OVER}`)
      const answered = new AbortController()
      void clock.sleep(timeoutMs, answered.signal).then(() => {
        if (answered.signal.aborted) return
        over.resolve({ stdout: '', stderr: '', isLate: true })
        mine.end()
      })
      try {
        const text = await over.promise
        if (text !== undefined && !saysLost(text.stderr))
          return { ...text, startedAt, durationMs: clock.now() - startedAt }
        mine.end()
        return undefined
      } finally {
        answered.abort()
        if (keepers === 0) mine.end()
      }
    },
  }
}

function createQuestion(): Question {
  return {
    mark: `lifeboat-${randomUUID()}`,
    stdout: [],
    stderr: [],
    seen: { marks: 0, stdoutOver: false, stderrOver: false },
    over: Promise.withResolvers(),
  }
}

function onStdoutLine(connection: Connection, line: string): void {
  const { question } = connection
  if (question === undefined) return
  const { seen, mark, stdout } = question
  if (line === `${mark}${OVER}`) seen.stdoutOver = true
  else if (line === mark) seen.marks += 1
  else if (seen.marks === 1) stdout.push(line)
  settle(connection, question)
}

function onStderrLine(connection: Connection, line: string): void {
  const { question } = connection
  if (question === undefined) return
  if (line.endsWith(`${question.mark}${OVER}`)) question.seen.stderrOver = true
  else question.stderr.push(line)
  settle(connection, question)
}

function settle(connection: Connection, { seen, stdout, stderr, over }: Question): void {
  if (!seen.stdoutOver || !seen.stderrOver) return
  connection.question = undefined
  // Neither carried out nor complained about: it is not known what that was.
  const isUnknown = seen.marks !== 2 && stderr.length === 0
  // `echo` of the first mark ends with an empty line.
  const text = joined(stdout).replace(/^\n/, '')
  over.resolve(isUnknown ? undefined : { stdout: text, stderr: joined(stderr), isLate: false })
}

const joined = (lines: readonly string[]): string => lines.map(line => `${line}\n`).join('')
