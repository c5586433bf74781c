import type { PointRef } from '../format/point.ts'
import type { ChunkId } from '../vault.ts'

/** What a vault may find wrong with itself. Each stays until what it says is no longer so. */
export const PROBLEM_CODES = {
  'chunk-corrupt': 'a chunk is gone, or does not hold what its name says',
  'index-damaged': 'the index of a disk cannot be read, or is not the one its manifest names',
  'index-unfit': 'the index of a disk says that chunks have another length than they have',
  'manifest-unreadable': 'a manifest cannot be read: damaged, or of a newer Lifeboat',
  'vault-full': 'there is too little room for new backups',
  'clock-off': 'the clock of a blade and the clock of this vault are far apart',
} as const
export type ProblemCode = keyof typeof PROBLEM_CODES

export interface VaultProblem {
  readonly code: ProblemCode
  /** What it is about, one problem for each: a chunk, `<vm id>/<point>/<target>`, a blade. */
  readonly about: string
  /** For the person woken: what, which restore points, what happens next. */
  readonly text: string
  /** For chunk-corrupt. */
  readonly chunk: ChunkId | ''
  /** The restore points it touches. */
  readonly points: readonly PointRef[]
  /** Epoch ms. */
  readonly since: number
}

/** Adds a problem; the same one again keeps its beginning and takes the new words. Pure, as all of this file. */
export function raiseProblem(
  problems: readonly VaultProblem[],
  problem: VaultProblem,
): readonly VaultProblem[] {
  const known = problems.find(other => isSame(other, problem))
  const since = known?.since ?? problem.since
  return [...problems.filter(other => !isSame(other, problem)), { ...problem, since }]
}

/** Without the problems of one code about any of these. */
export function endProblems(
  problems: readonly VaultProblem[],
  code: ProblemCode,
  about: ReadonlySet<string>,
): readonly VaultProblem[] {
  return problems.filter(problem => problem.code !== code || !about.has(problem.about))
}

/**
 * Without the restore points that are gone: a problem of restore points that touches none any more is none. A chunk
 * nobody names is garbage.
 */
export function dropPoint(problems: readonly VaultProblem[], gone: PointRef): readonly VaultProblem[] {
  return problems.flatMap(problem => {
    const points = problem.points.filter(ref => ref.vmId !== gone.vmId || ref.point !== gone.point)
    if (points.length === problem.points.length) return [problem]
    return points.length === 0 ? [] : [{ ...problem, points }]
  })
}

/** Those that touch a restore point. */
export function problemsOf(problems: readonly VaultProblem[], ref: PointRef): readonly VaultProblem[] {
  return problems.filter(problem =>
    problem.points.some(({ vmId, point }) => vmId === ref.vmId && point === ref.point),
  )
}

function isSame(a: VaultProblem, b: VaultProblem): boolean {
  return a.code === b.code && a.about === b.about
}
