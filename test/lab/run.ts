import { spawn } from 'node:child_process'
import { LabError } from './errors.ts'

export interface RunOptions {
  /** Time limit; the process is killed at its end. Default 60 s. */
  timeoutMs?: number
  /** Written to standard input, which is closed after it. */
  input?: string | Uint8Array
  env?: NodeJS.ProcessEnv
  cwd?: string
}

export interface RunResult {
  argv: readonly string[]
  /** Exit code; 124 when the time limit ended it, 128 + signal number is not distinguished: any signal is 137. */
  code: number
  stdout: Buffer
  stderr: string
  durationMs: number
}

/** Runs a command without a shell and returns whatever its exit code was; rejects only when it cannot start. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const [file = '', ...args] = argv
  const startedAt = Date.now()
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: 'pipe' })
    const out: Buffer[] = []
    const err: Buffer[] = []
    let timedOut = false
    const timer = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
      // A grandchild (ssh's master, a daemon) may hold the pipes open after the kill: do not wait for it.
      child.stdout.destroy()
      child.stderr.destroy()
    }, options.timeoutMs ?? 60_000)
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    child.stdin.on('error', () => {}) // a command that reads no input closes the pipe early
    child.on('error', cause => {
      clearTimeout(timer)
      reject(new LabError(`cannot start ${file}`, { cause }))
    })
    child.on('close', code => {
      clearTimeout(timer)
      resolve({
        argv,
        code: timedOut ? 124 : (code ?? 137),
        stdout: Buffer.concat(out),
        stderr: Buffer.concat(err).toString('utf8') + (timedOut ? '\n(time limit reached)' : ''),
        durationMs: Date.now() - startedAt,
      })
    })
    child.stdin.end(options.input)
  })
}

/** Like `run`, but a non-zero exit is an error that carries the tail of what the command said. Returns stdout. */
export async function must(argv: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await run(argv, options)
  if (result.code !== 0) throw new LabError(`${argv.join(' ')} exited with ${result.code}: ${tail(result)}`)
  return result.stdout.toString('utf8')
}

/** The last lines a failed command left, standard error first. */
export function tail(result: RunResult, lines = 15): string {
  const text = result.stderr.trim() === '' ? result.stdout.toString('utf8') : result.stderr
  return text.trim().split('\n').slice(-lines).join('\n')
}

/** Runs a command on the caller's own terminal and returns its exit code. */
export function runAttached(argv: readonly string[]): Promise<number> {
  const [file = '', ...args] = argv
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit' })
    child.on('error', cause => reject(new LabError(`cannot start ${file}`, { cause })))
    child.on('close', code => resolve(code ?? 137))
  })
}
