import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'

/** Long enough for a command that LVM must not be killed in: with a device suspended, its VM would hang for ever. */
const CLOSE_LIMIT_MS = 120_000

/**
 * A tool that waits for lines: started, connected and warm before the guest is held, because starting it takes longer
 * than what it is asked to do.
 */
export interface Console {
  /**
   * Types a command and resolves when a line of its output matches `done`. The words may hold blanks only inside quotes.
   * Errors: `command-failed` with what it complained of, `timeout` when the limit passes (it may still be doing it).
   */
  ask(words: readonly string[], done: RegExp, limitMs: number): Promise<string>
  /** Leaves it when it has done what it was asked; resolves at its end. */
  close(): Promise<void>
}

interface Question {
  readonly done: RegExp
  readonly mark: string
  readonly complaints: string[]
  readonly answer: PromiseWithResolvers<string>
}

export interface ConsoleOptions {
  readonly run: CommandRunner
  readonly clock: Clock
  /** The program without a command: it then reads them from its standard input. */
  readonly argv: readonly string[]
  /** The word that ends it. */
  readonly leave: string
}

/**
 * Every command is followed by one that does not exist: the complaint about it comes on standard error after those of
 * the command itself, so a command that failed is known at once, with all it said.
 */
export function openConsole({ run, clock, argv, leave }: ConsoleOptions): Console {
  const ended = Promise.withResolvers<void>()
  let over = false
  let questions: Question[] = []
  let last = 0

  const settle = (question: Question): void => {
    questions = questions.filter(other => other !== question)
  }
  const onLine = (line: string): void => {
    const question = questions.find(candidate => candidate.done.test(line))
    if (question === undefined) return
    settle(question)
    question.answer.resolve(line.trim())
  }
  const onErrorLine = (line: string): void => {
    const question = questions[0]
    if (question === undefined) return
    if (!line.includes(question.mark)) {
      question.complaints.push(line.trim())
      return
    }
    // Its success may be on the way on the other pipe: that one was written first, so it is read in this turn or the next.
    setImmediate(() => {
      settle(question)
      question.answer.reject(failure(argv, question.complaints))
    })
  }
  const program = run.follow(argv, {
    onLine,
    onErrorLine,
    onEnd: () => {
      over = true
      for (const { answer, complaints } of questions)
        answer.reject(failure(argv, [...complaints, 'it ended']))
      questions = []
      ended.resolve()
    },
  })

  async function ask(words: readonly string[], done: RegExp, limitMs: number): Promise<string> {
    const mark = `lifeboat-mark-${++last}`
    const question: Question = { done, mark, complaints: [], answer: Promise.withResolvers<string>() }
    if (over) throw failure(argv, ['it ended'])
    questions.push(question)
    const answered = new AbortController()
    program.write(`${words.join(' ')}\n${mark}`)
    void clock.sleep(limitMs, answered.signal).then(() => {
      if (answered.signal.aborted) return
      settle(question)
      question.answer.reject(
        new LifeboatError('timeout', `${argv[0]} ${words[0]} did not end within ${Math.round(limitMs)} ms`),
      )
    })
    try {
      return await question.answer.promise
    } finally {
      answered.abort()
    }
  }

  return {
    async ask(words, done, limitMs) {
      const startedAt = clock.now()
      const told = (exitCode: number, stderrTail: string) =>
        run.note({
          argv: [argv[0] ?? '', ...words],
          exitCode,
          startedAt,
          durationMs: clock.now() - startedAt,
          stderrTail,
        })
      try {
        const line = await ask(words, done, limitMs)
        told(0, '')
        return line
      } catch (error) {
        const isTimeout = error instanceof LifeboatError && error.code === 'timeout'
        told(isTimeout ? -1 : 1, error instanceof Error ? error.message : '')
        throw error
      }
    },
    async close() {
      if (over) return
      program.write(leave)
      const gone = new AbortController()
      void clock.sleep(CLOSE_LIMIT_MS, gone.signal).then(() => {
        if (!gone.signal.aborted) program.stop()
      })
      await ended.promise
      gone.abort()
    },
  }
}

function failure(argv: readonly string[], complaints: readonly string[]): LifeboatError {
  const said = complaints.map(line => line.replace(/^error: /, '')).filter(line => line !== '')
  return new LifeboatError('command-failed', `${argv[0]}: ${said.join('; ') || 'no message'}`)
}
