import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ErrorCode } from './errors.ts'
import { LifeboatError } from './errors.ts'

/**
 * Where a running simulated chassis can be found: written by it, read by the CLI, so that `lifeboat status` in a
 * second terminal needs no option. One simulation per user.
 */
export interface SimulationRecord {
  readonly pid: number
  /** The controller's admin socket. */
  readonly adminSocket: string
  /** Takes one SimulationRequest per line, answers one SimulationAnswer per line. */
  readonly controlSocket: string
}

export interface SimulationRequest {
  readonly action: 'fail' | 'heal'
  /** Its name, or that of the vault. */
  readonly blade: string
  /** mirror, nic-a, nic-b, psu, psu-1 … psu-4, bmc, agent, vault */
  readonly what: string
}

export type SimulationAnswer =
  | { readonly ok: true; readonly text: string }
  | { readonly ok: false; readonly text: string; readonly code: ErrorCode }

/** `env` is process.env of the caller. */
export function simulationRecordPath(env: Readonly<Record<string, string | undefined>>): string {
  return join(env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lifeboat', 'simulation.json')
}

/** Readable by its user only; takes the place of an older one. */
export function writeSimulationRecord(path: string, record: SimulationRecord): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(path, `${JSON.stringify(record)}\n`, { mode: 0o600 })
}

/** At the end of a simulation; one that is gone is fine. */
export function removeSimulationRecord(path: string): void {
  rmSync(path, { force: true })
}

/** Undefined when no simulation was started, or it has died. Throws `bad-input` on a file that is not ours. */
export function readSimulationRecord(path: string): SimulationRecord | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  const record = parseRecord(path, text)
  try {
    process.kill(record.pid, 0)
  } catch {
    return undefined
  }
  return record
}

function parseRecord(path: string, text: string): SimulationRecord {
  try {
    const value = JSON.parse(text) as Partial<SimulationRecord>
    if (
      typeof value.pid === 'number' &&
      typeof value.adminSocket === 'string' &&
      typeof value.controlSocket === 'string'
    ) {
      return { pid: value.pid, adminSocket: value.adminSocket, controlSocket: value.controlSocket }
    }
  } catch (error) {
    throw new LifeboatError('bad-input', `${path} is not a simulation record; remove it`, { cause: error })
  }
  throw new LifeboatError('bad-input', `${path} is not a simulation record; remove it`)
}
