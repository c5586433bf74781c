import { join } from 'node:path'
import * as z from 'zod'
import type { Logger } from '../../../shared/log.ts'
import { CHUNK_FOLDER, type VaultLayout } from './layout.ts'
import { PROBLEM_CODES, type ProblemCode, type VaultProblem } from './problems.ts'
import { NO_POLICIES, type RetentionPolicies } from './retention.ts'
import { openStateFile, type StateFile } from './state-file.ts'

/** How far the re-hashing of the whole store is. */
export interface ScrubState {
  /** Of the round that runs, or of the last one. Epoch ms; 0: never. */
  readonly startedAt: number
  /** 0 while a round is under way. */
  readonly endedAt: number
  /** The next folder of the store, 4 hex digits. */
  readonly next: string
  readonly doneChunks: number
  /** `<vm id>/<point>` of what was listed when the round began: only that can be called checked by it. */
  readonly points: readonly string[]
}

export interface CollectState {
  /** Epoch ms; 0: never. */
  readonly collectedAt: number
  /** How many sweeps there were: each looks through another window, see id-filter.ts. */
  readonly runs: number
  /** In the store: counted by the last sweep, and added to since. */
  readonly chunks: number
  readonly bytes: number
}

/** What the vault keeps about itself, below state/. */
export interface Records {
  readonly problems: StateFile<readonly VaultProblem[]>
  readonly retention: StateFile<RetentionPolicies>
  readonly scrub: StateFile<ScrubState>
  readonly collect: StateFile<CollectState>
}

const REF = z.object({ vmId: z.string(), point: z.string() })
const PROBLEMS = z.array(
  z.object({
    code: z.enum(Object.keys(PROBLEM_CODES) as [ProblemCode, ...ProblemCode[]]),
    about: z.string(),
    text: z.string(),
    chunk: z.string(),
    points: z.array(REF),
    since: z.number(),
  }),
)
const COUNT = z.int().min(0)
const POLICY = z.object({ keepLast: COUNT, keepDaily: COUNT, keepWeekly: COUNT, keepMonthly: COUNT })
const RETENTION = z.object({ byDefault: POLICY, byVmId: z.record(z.string(), POLICY) })
const SCRUB = z.object({
  startedAt: z.number(),
  endedAt: z.number(),
  next: z.string().regex(CHUNK_FOLDER),
  doneChunks: COUNT,
  points: z.array(z.string()),
})
const COLLECT = z.object({ collectedAt: z.number(), runs: COUNT, chunks: COUNT, bytes: z.number() })

const NEVER_SCRUBBED: ScrubState = { startedAt: 0, endedAt: 0, next: '0000', doneChunks: 0, points: [] }
const NOTHING_COLLECTED: CollectState = { collectedAt: 0, runs: 0, chunks: 0, bytes: 0 }

/** With the problems lost, damaged restore points would pass for whole until the next scrub: it is due at once. */
export function openRecords(layout: VaultLayout, options: { log: Logger; writable: boolean }): Records {
  const at = (name: string) => join(layout.state, name)
  const problems = openStateFile<readonly VaultProblem[]>(at('problems.json'), PROBLEMS, [], options)
  const scrub = openStateFile<ScrubState>(at('scrub.json'), SCRUB, NEVER_SCRUBBED, options)
  if (problems.isLost) {
    scrub.set(NEVER_SCRUBBED)
    problems.set(problems.value())
  }
  return {
    problems,
    scrub,
    retention: openStateFile<RetentionPolicies>(at('retention.json'), RETENTION, NO_POLICIES, options),
    collect: openStateFile<CollectState>(at('collect.json'), COLLECT, NOTHING_COLLECTED, options),
  }
}
