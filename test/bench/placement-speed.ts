import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { median } from './backup-measure.ts'
import { type Cluster, type ClusterShape, makeCluster } from './placement-clusters.ts'
import { toGanetiText } from './placement-ganeti.ts'
import type { Peers } from './placement-peers.ts'
import { type Ran, runMeasured } from './placement-run.ts'

/** One size: how long, and with how much memory, each tool takes to empty its drained blades. */
export interface SpeedResult {
  readonly shape: ClusterShape
  readonly vms: number
  /** Reading and planning in a process of its own: the first time, before anything is compiled, and the median. */
  readonly firstMs: number
  readonly medianMs: number
  /** Median, of the thread that plans: what the wall shows on a machine with nothing else to do. */
  readonly cpuMs: number
  /** Share of the reading in the median. */
  readonly readShare: number
  readonly rssMib: number
  readonly unplaced: number
  /** `lifeboat simulate FILE --evacuate ... --output json` from its start to its end. */
  readonly command: Ran
  /** Undefined: not run. */
  readonly hail: Ran | undefined
  readonly hbal: Ran | undefined
}

/** A peer is not asked above so many blades unless it is meant to take its time. */
const PEER_BLADES = { usual: 400, slow: 1000 } as const
const PEER_LIMIT_MS = 120_000
const SEED = 1
const ROUNDS = 5
const COMMAND_ROUNDS = 3

const FULL: readonly ClusterShape[] = [
  { blades: 10, utilisation: 0.68 },
  { blades: 40, utilisation: 0.68 },
  { blades: 200, utilisation: 0.68 },
  { blades: 200, drained: 14, utilisation: 0.68 },
  { blades: 1000, utilisation: 0.68 },
  { blades: 5000, utilisation: 0.68 },
  // 40,000 VMs.
  { blades: 10_000, utilisation: 0.55 },
]

export interface SpeedOptions {
  readonly peers: Peers | undefined
  readonly quick: boolean
  readonly slow: boolean
}

/** Every size, smallest first; `tell` gets each as soon as it is measured. */
export async function measureSpeed(
  options: SpeedOptions,
  tell: (result: SpeedResult) => void,
): Promise<SpeedResult[]> {
  const results: SpeedResult[] = []
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-placement-'))
  try {
    for (const shape of FULL.filter(each => !options.quick || each.blades <= 1000)) {
      const cluster = drainBusy(makeCluster(shape, SEED))
      const path = join(folder, 'cluster')
      writeFileSync(path, toGanetiText(cluster))
      const result = {
        shape,
        vms: cluster.vms.length,
        ...(await measureOurs(path, cluster)),
        ...(await measurePeers(cluster, options)),
      }
      tell(result)
      results.push(result)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
  return results
}

const BUSY_VMS = 7

/** As many blades are drained as before, but such as have something to lose: seven VMs or more. */
function drainBusy({ blades, vms }: Cluster): Cluster {
  const count = blades.filter(blade => blade.isDrained).length
  const perBlade = Map.groupBy(vms, vm => vm.blade)
  const busy = blades.filter(blade => (perBlade.get(blade.name)?.length ?? 0) >= BUSY_VMS).slice(0, count)
  return { blades: blades.map(blade => ({ ...blade, isDrained: busy.includes(blade) })), vms }
}

interface ChildAnswer {
  readonly times: readonly {
    readonly readMs: number
    readonly planMs: number
    readonly cpuMs: number
    readonly unplaced: number
  }[]
  readonly rssMib: number
}

const NODE = process.execPath
const HERE = import.meta.dirname

async function measureOurs(path: string, cluster: Cluster) {
  const drained = cluster.blades.filter(blade => blade.isDrained).map(blade => blade.name)
  const child = await runMeasured([
    NODE,
    join(HERE, 'placement-speed-child.ts'),
    path,
    String(ROUNDS),
    ...drained,
  ])
  if (child.code !== 0) throw new Error(`the planner failed: ${child.stderr}`)
  const { times, rssMib } = JSON.parse(child.stdout) as ChildAnswer
  const totals = times.map(({ readMs, planMs }) => readMs + planMs)
  const lifeboat = join(HERE, '../../controller/cli/main.ts')
  const evacuate = drained.flatMap(name => ['--evacuate', name])
  const argv = [NODE, lifeboat, 'simulate', path, '--format', 'ganeti', ...evacuate, '--output', 'json']
  const commands: Ran[] = []
  for (let round = 0; round < COMMAND_ROUNDS; round++) commands.push(await runMeasured(argv))
  const [command] = commands.sort((a, b) => a.wallMs - b.wallMs).slice(Math.floor(COMMAND_ROUNDS / 2))
  if (command === undefined || ![0, 2].includes(command.code)) {
    throw new Error(`lifeboat simulate ended with ${command?.code}: ${command?.stderr}`)
  }
  return {
    firstMs: totals[0] ?? Number.NaN,
    medianMs: median(totals),
    cpuMs: median(times.map(({ cpuMs }) => cpuMs)),
    readShare: median(times.map(({ readMs, planMs }) => readMs / (readMs + planMs))),
    rssMib,
    unplaced: times[0]?.unplaced ?? 0,
    command,
  }
}

async function measurePeers(cluster: Cluster, { peers, slow }: SpeedOptions) {
  const most = slow ? PEER_BLADES.slow : PEER_BLADES.usual
  if (peers === undefined || cluster.blades.length > most) return { hail: undefined, hbal: undefined }
  const hail = (await peers.hail(cluster, PEER_LIMIT_MS)).ran
  const hbal = (await peers.hbalEvac(cluster, PEER_LIMIT_MS)).ran
  return { hail, hbal }
}
