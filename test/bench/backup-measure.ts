import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { LabError } from '../lab/errors.ts'

/** Often enough for the peak of a process that lives for a second: the kernel keeps its peak, we only must still see it. */
const LOOK_EVERY_MS = 50

export interface Measured {
  readonly wallS: number
  /** User and system, of the program and all it started. */
  readonly cpuS: number
  /** Resident, of its largest process. */
  readonly peakMib: number
}

export interface Command {
  readonly argv: readonly string[]
  readonly cwd: string
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a program to its end, with the priority a backup has, and measures it. */
export async function measure({ argv, cwd, env }: Command): Promise<Measured> {
  const cpuBefore = childrenCpuS()
  const startedAt = performance.now()
  const child = spawn('nice', ['-n', '10', ...argv], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', (piece: Buffer) => {
    said = (said + piece.toString()).slice(-2000)
  })
  let peakMib = 0
  const timer = setInterval(() => {
    peakMib = Math.max(peakMib, peakOfTree(child.pid ?? 0))
  }, LOOK_EVERY_MS)
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  clearInterval(timer)
  if (code !== 0) throw new LabError(`${argv.join(' ')} ended with ${code}: ${said.trim()}`)
  const wallS = (performance.now() - startedAt) / 1000
  return { wallS, cpuS: childrenCpuS() - cpuBefore, peakMib }
}

const TICKS_PER_S = 100

/** CPU time of all children of this process that have ended, and of theirs. */
export function childrenCpuS(): number {
  const fields = statFields('self')
  return (Number(fields[13]) + Number(fields[14])) / TICKS_PER_S
}

/** CPU time of a process that still runs. */
export function processCpuS(pid: number): number {
  const fields = statFields(String(pid))
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_S
}

/** proc(5) /proc/pid/stat, from its third field on: the second may hold blanks. */
function statFields(pid: string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** Peak of the largest process of a tree; 0 when it is gone. */
export function peakOfTree(pid: number): number {
  return Math.max(peakMibOf(pid), ...childrenOf(pid).map(peakOfTree))
}

/** Empty when it is gone. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
      .flatMap(thread => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').trim().split(' '))
      .filter(text => text !== '')
      .map(Number)
  } catch {
    return []
  }
}

export function peakMibOf(pid: number): number {
  try {
    const found = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return Number(found?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
