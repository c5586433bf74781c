import type { ClusterShape } from './placement-clusters.ts'
import { findMilp } from './placement-milp.ts'
import { findPeers } from './placement-peers.ts'
import { measureShape } from './placement-quality.ts'
import { measureSpeed } from './placement-speed.ts'
import { describeSpeed, speedHead, speedVerdicts } from './placement-speed-text.ts'
import { describeShape, qualityVerdicts, type ShapeResults } from './placement-verdicts.ts'

export interface PlacementBenchOptions {
  /** Few seeds, small clusters. */
  readonly quick: boolean
  /** hail at 1,000 blades, too, which takes a minute and a half. */
  readonly slow: boolean
}

const SEEDS = 150
const QUICK_SEEDS = 15
const USES = [0.85, 0.92, 0.97] as const
const TIGHT_DISK = 0.92

const SHAPES: readonly ClusterShape[] = [
  ...USES.map(utilisation => ({ blades: 10, utilisation })),
  ...USES.map(utilisation => ({ blades: 10, utilisation, diskUtilisation: TIGHT_DISK })),
]

/** Evacuations of random clusters, by us and by Ganeti's htools, against an exact reference; then times. */
export async function comparePlacements(options: PlacementBenchOptions): Promise<void> {
  const say = (text: string) => void process.stdout.write(`${text}\n`)
  const peers = await findPeers(say)
  const milp = await findMilp(say)
  const results: ShapeResults[] = []
  for (const shape of SHAPES) {
    const seeds = options.quick ? QUICK_SEEDS : SEEDS
    const cases = await measureShape(shape, { seeds, peers, milp, milpCases: options.quick ? 2 : 10 })
    const found = { shape, cases }
    results.push(found)
    for (const line of describeShape(found)) say(line)
  }
  say('')
  say(speedHead())
  const speeds = await measureSpeed({ peers, ...options }, result => say(describeSpeed(result)))
  say('')
  for (const line of [...qualityVerdicts(results), ...speedVerdicts(speeds)]) say(line)
}
