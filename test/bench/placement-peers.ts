import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpackPackages } from './debian-packages.ts'
import type { Cluster } from './placement-clusters.ts'
import { toGanetiText, toHailRequest } from './placement-ganeti.ts'
import type { ReplayMove } from './placement-replay.ts'
import { type Ran, runMeasured } from './placement-run.ts'

/** What a peer would do; undefined: it did not end within the time limit, or could not say. */
export interface PeerAnswer {
  readonly moves: readonly ReplayMove[] | undefined
  readonly ran: Ran
}

export interface Peers {
  readonly hail: (cluster: Cluster, limitMs: number) => Promise<PeerAnswer>
  /** Moves only what is on the drained blades. */
  readonly hbalEvac: (cluster: Cluster, limitMs: number) => Promise<PeerAnswer>
  /** May move every VM. */
  readonly hbal: (cluster: Cluster, limitMs: number) => Promise<PeerAnswer>
}

/** Debian's ganeti-htools, unpacked and never installed. Undefined where it cannot be had: that is said loudly. */
export async function findPeers(say: (text: string) => void): Promise<Peers | undefined> {
  try {
    const { root, env } = await unpackPackages('ganeti-htools', ['ganeti-htools'], say)
    const hbal = join(root, 'usr/bin/hbal')
    const hail = join(root, 'usr/lib/ganeti/iallocators/hail')
    const asText = (...options: readonly string[]) => {
      return async (cluster: Cluster, limitMs: number): Promise<PeerAnswer> => {
        const ran = await withFile(toGanetiText(cluster), file =>
          runMeasured([hbal, '-t', file, '-C', ...options], { env, limitMs }),
        )
        return { moves: ran.code === 0 ? hbalMoves(ran.stdout) : undefined, ran }
      }
    }
    const peers: Peers = {
      hail: async (cluster, limitMs) => {
        const ran = await withFile(toHailRequest(cluster), file =>
          runMeasured([hail, file], { env, limitMs }),
        )
        return { moves: ran.code === 0 ? hailMoves(ran.stdout) : undefined, ran }
      },
      hbalEvac: asText('--evac-mode'),
      hbal: asText(),
    }
    return peers
  } catch (error) {
    say(
      `*** ganeti-htools cannot be had (${error instanceof Error ? error.message : error}): NO PEERS BELOW ***`,
    )
    return undefined
  }
}

async function withFile<Result>(text: string, use: (path: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-placement-'))
  try {
    const path = join(folder, 'cluster')
    writeFileSync(path, text)
    return await use(path)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** `gnt-instance migrate -f -n blade00008 vm000001`, in its order. */
function hbalMoves(text: string): ReplayMove[] {
  const found = text.matchAll(
    /gnt-instance (?:migrate|failover) -f(?: --ignore-consistency)? -n (\S+) (\S+)/g,
  )
  return [...found].map(match => ({ vm: match[2] ?? '', to: match[1] ?? '', needs: [] }))
}

/** The VMs it found no node for are simply not there. */
function hailMoves(text: string): ReplayMove[] | undefined {
  const answer = JSON.parse(text) as { success: boolean; result: [string, string, string[]][][] }
  if (!answer.success) return undefined
  return (answer.result[0] ?? []).map(([vm, , nodes]) => ({ vm, to: nodes[0] ?? '', needs: [] }))
}
