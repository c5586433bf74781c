import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from '../errors.ts'
import { PROCESSES_DIR } from '../place.ts'
import { waitFor } from '../wait.ts'

/** A process the lab started. The start time tells it from a stranger that was given the same pid later. */
export interface ProcessRecord {
  pid: number
  /** Field 22 of /proc/PID/stat, in clock ticks since the machine booted. */
  startTicks: number
}

/** Remembers a process the lab has just started under a name. */
export function recordProcess(name: string, pid: number | undefined): ProcessRecord {
  const stat = pid === undefined ? undefined : readStat(pid)
  if (pid === undefined || stat === undefined) throw new LabError(`${name} ended as soon as it was started`)
  mkdirSync(PROCESSES_DIR, { recursive: true })
  const record = { pid, startTicks: stat.startTicks }
  writeFileSync(fileOf(name), JSON.stringify(record))
  return record
}

/** The running process of that name, or undefined when there is none (any more). */
export function liveProcess(name: string): ProcessRecord | undefined {
  let record: ProcessRecord
  try {
    record = JSON.parse(readFileSync(fileOf(name), 'utf8')) as ProcessRecord
  } catch {
    return undefined // no file: it was never started, or `down` has been here
  }
  const stat = readStat(record.pid)
  return stat?.startTicks === record.startTicks && stat.state !== 'Z' ? record : undefined
}

/** Kills the process of that name, verified to be the recorded one, and waits until it is gone. */
export async function killProcess(name: string, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<boolean> {
  const record = liveProcess(name)
  if (record !== undefined) {
    process.kill(record.pid, signal)
    await waitFor(
      `end of ${name} (pid ${record.pid})`,
      async () => liveProcess(name) === undefined,
      10_000,
      20,
    )
  }
  rmSync(fileOf(name), { force: true })
  return record !== undefined
}

function fileOf(name: string): string {
  return join(PROCESSES_DIR, `${name}.pid`)
}

function readStat(pid: number): { state: string; startTicks: number } | undefined {
  try {
    // The second field is the program's name in brackets and may hold spaces: count from the last bracket.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? []
    return { state: fields[0] ?? '?', startTicks: Number(fields[19]) }
  } catch {
    return undefined
  }
}

/** Runs work that only one process may do at a time, or says who is at it. */
export async function exclusively(work: () => Promise<void>): Promise<void> {
  const other = liveProcess('command')
  if (other !== undefined) {
    throw new LabError(
      `another command has the lab (pid ${other.pid}): up, down, or the lab's tests; ps ${other.pid} says which`,
    )
  }
  recordProcess('command', process.pid)
  try {
    await work()
  } finally {
    rmSync(fileOf('command'), { force: true })
  }
}
