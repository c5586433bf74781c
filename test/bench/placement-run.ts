import { spawn } from 'node:child_process'
import { childrenCpuS, peakOfTree } from './backup-measure.ts'

/** These programs live for a hundredth of a second: looked at often, so that the last look is near the peak. */
const LOOK_EVERY_MS = 5

export interface Ran {
  /** 124: the time limit ended it. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
  readonly wallMs: number
  /** User and system, in steps of 10 ms. */
  readonly cpuMs: number
  /** Resident, at its peak; 0 when it ended before the first look. */
  readonly peakMib: number
}

/** Runs a program to its end, whatever that is, and measures it. */
export async function runMeasured(
  argv: readonly string[],
  options: { readonly env?: Readonly<Record<string, string>>; readonly limitMs?: number } = {},
): Promise<Ran> {
  const cpuBefore = childrenCpuS()
  const startedAt = performance.now()
  const [file = '', ...args] = argv
  const child = spawn(file, args, {
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => out.push(piece))
  child.stderr.on('data', (piece: Buffer) => err.push(piece))
  let peakMib = 0
  let timedOut = false
  const looks = setInterval(() => {
    peakMib = Math.max(peakMib, peakOfTree(child.pid ?? 0))
  }, LOOK_EVERY_MS)
  const limit = setTimeout(() => {
    timedOut = true
    child.kill('SIGKILL')
  }, options.limitMs ?? 120_000)
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    return {
      code: timedOut ? 124 : (code ?? 137),
      stdout: Buffer.concat(out).toString(),
      stderr: Buffer.concat(err).toString(),
      wallMs: performance.now() - startedAt,
      cpuMs: (childrenCpuS() - cpuBefore) * 1000,
      peakMib,
    }
  } finally {
    clearInterval(looks)
    clearTimeout(limit)
  }
}
