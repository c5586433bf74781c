import type { ClusterShape } from './placement-clusters.ts'
import { type Cluster, makeCluster } from './placement-clusters.ts'
import { bytesOf, type ExactAnswer, solveExactly } from './placement-exact.ts'
import { toGanetiText } from './placement-ganeti.ts'
import type { Milp } from './placement-milp.ts'
import { planOurs } from './placement-ours.ts'
import type { PeerAnswer, Peers } from './placement-peers.ts'
import { replay } from './placement-replay.ts'

/** What the exact reference says a case needs. */
export const NEEDS = {
  direct: 'the evacuated VMs find places as it is',
  room: 'up to four other VMs step aside first',
  more: 'even four are not enough',
  open: 'the reference gave up',
} as const
export type Need = keyof typeof NEEDS

export const TOOLS = ['ours', 'hail', 'hbal evac', 'hbal full'] as const
export type Tool = (typeof TOOLS)[number]

/** One cluster, and what each tool made of it. */
export interface CaseResult {
  readonly seed: number
  readonly need: Need
  readonly asides: number
  /** Of those that ran. */
  readonly solved: Partial<Record<Tool, boolean>>
  /** Of our plan: rules broken in any legal order. */
  readonly broken: readonly string[]
  /** All bytes moved by us and by the exact optimum, where both have an answer. */
  readonly bytes: { readonly ours: number; readonly best: number; readonly leaving: number } | undefined
  /** What CBC says against the reference; undefined: not asked. */
  readonly milp: 'agrees' | 'order costs more' | 'CONTRADICTS' | 'gave up' | undefined
  readonly ourMs: number
}

export interface QualityOptions {
  readonly seeds: number
  readonly peers: Peers | undefined
  readonly milp: Milp | undefined
  /** So many cases of each shape that need room are put to the second opinion. */
  readonly milpCases: number
}

const MOST_ASIDES = 4
const PEER_LIMIT_MS = 120_000

/** Every seed of one shape, by all tools and the reference. */
export async function measureShape(shape: ClusterShape, options: QualityOptions): Promise<CaseResult[]> {
  const results: CaseResult[] = []
  let asked = 0
  for (let seed = 1; seed <= options.seeds; seed++) {
    const cluster = makeCluster(shape, seed)
    const exact = solveExactly(cluster, { maxExtra: MOST_ASIDES })
    const askMilp = options.milp !== undefined && !exact.isDirect && asked < options.milpCases
    if (askMilp) asked++
    const { isSolved, ...ours } = ourPart(cluster, exact)
    results.push({
      seed,
      ...ours,
      solved: { ours: isSolved, ...(await peerPart(cluster, options.peers)) },
      milp:
        askMilp && options.milp !== undefined ? await secondOpinion(options.milp, cluster, exact) : undefined,
    })
  }
  return results
}

function ourPart(cluster: Cluster, exact: ExactAnswer) {
  const drained = cluster.blades.filter(blade => blade.isDrained).map(blade => blade.name)
  const ours = planOurs(toGanetiText(cluster), drained)
  const done = replay(cluster, ours.plan.moves, { everyOrder: true })
  const isSolved = ours.plan.unplaced.length === 0 && done.isEmptied && done.broken.length === 0
  const leaving = cluster.vms
    .filter(vm => drained.includes(vm.blade))
    .reduce((sum, vm) => sum + bytesOf(vm), 0)
  const need: Need = exact.isGivenUp
    ? 'open'
    : exact.isDirect
      ? 'direct'
      : exact.steps === undefined
        ? 'more'
        : 'room'
  return {
    need,
    asides: exact.steps?.length ?? 0,
    isSolved,
    broken: done.broken,
    bytes:
      isSolved && exact.steps !== undefined
        ? { ours: done.bytesMib, best: leaving + exact.extraBytesMib, leaving }
        : undefined,
    ourMs: ours.readMs + ours.planMs,
  }
}

async function peerPart(cluster: Cluster, peers: Peers | undefined): Promise<Partial<Record<Tool, boolean>>> {
  if (peers === undefined) return {}
  const isSolved = ({ moves }: PeerAnswer) => {
    if (moves === undefined) return false
    const done = replay(cluster, moves)
    return done.isEmptied && done.broken.length === 0
  }
  return {
    hail: isSolved(await peers.hail(cluster, PEER_LIMIT_MS)),
    'hbal evac': isSolved(await peers.hbalEvac(cluster, PEER_LIMIT_MS)),
    'hbal full': isSolved(await peers.hbal(cluster, PEER_LIMIT_MS)),
  }
}

async function secondOpinion(milp: Milp, cluster: Cluster, exact: ExactAnswer): Promise<CaseResult['milp']> {
  const found = await milp(cluster, MOST_ASIDES)
  if (found === 'gave-up') return 'gave up'
  if (exact.steps === undefined) return found === 'infeasible' ? 'agrees' : 'order costs more'
  if (found === 'infeasible' || found > exact.extraBytesMib) return 'CONTRADICTS'
  return found === exact.extraBytesMib ? 'agrees' : 'order costs more'
}
