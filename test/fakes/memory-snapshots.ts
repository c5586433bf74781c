import type { Snapshots } from '../../agent/backup/snapshots.ts'
import type { Hypervisor } from '../../agent/hypervisor/hypervisor.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** Snapshots as texts. What it holds of a guest and of a disk outlives the agent, as on a blade. */
export interface MemorySnapshots {
  readonly seam: Snapshots
  readonly taken: Map<string, { readonly backupId: string; readonly text: string; readonly base: boolean }>
  /** VMs that stand still for a snapshot. */
  readonly held: Set<string>
  /** Leaves the guest standing and half a snapshot, as a kill in the middle of `take` does. */
  dieInTake: boolean
  /** What `watch` rejects with, at once. */
  overflow: LifeboatError | undefined
  /** Kept volumes that the next plan finds no room beside. */
  dropped: readonly string[]
  /** What `release` rejects with. */
  stuck: LifeboatError | undefined
}

export function createMemorySnapshots(
  hypervisor: Hypervisor,
  readDisk: (path: string) => string,
): MemorySnapshots {
  const world: MemorySnapshots = {
    taken: new Map(),
    held: new Set(),
    dieInTake: false,
    overflow: undefined,
    dropped: [],
    stuck: undefined,
    seam: {
      plan: async ({ backupId, vm, mode, pauseBudgetMs }, _run, onDropped) => {
        for (const path of world.dropped) onDropped?.(path)
        const own = vm.volumes.map(volume => ({ ...volume }))
        return { backupId, vmId: vm.id, vmName: vm.name, mode, pauseBudgetMs, own }
      },
      take: async (plan, run) => {
        const volumes = plan.own as unknown as Parameters<Snapshots['plan']>[0]['vm']['volumes']
        const holds = (await hypervisor.state(plan.vmId)) === 'running'
        if (holds) {
          world.held.add(plan.vmId)
          await hypervisor.pause(plan.vmId, run)
        }
        const sources = volumes.map(volume => {
          const path = `${volume.path}@${plan.backupId}`
          if (world.taken.has(path)) throw new LifeboatError('already-exists', path)
          world.taken.set(path, { backupId: plan.backupId, text: readDisk(volume.path), base: false })
          return { volume, path, sizeBytes: volume.sizeBytes, changed: undefined }
        })
        if (world.dieInTake) throw new LifeboatError('unavailable', 'killed')
        if (holds) {
          await hypervisor.resume(plan.vmId, run)
          world.held.delete(plan.vmId)
        }
        return {
          at: 1_790_000_000_000,
          consistency: holds ? 'paused' : 'stopped',
          pauseMs: holds ? 12 : 0,
          sources,
        }
      },
      watch: async (_plan, _run, signal) => {
        if (world.overflow !== undefined) throw world.overflow
        if (!signal.aborted)
          await new Promise(resolve => signal.addEventListener('abort', resolve, { once: true }))
      },
      release: async (plan, _published, run) => {
        if (world.stuck !== undefined) throw world.stuck
        if (world.held.delete(plan.vmId)) await hypervisor.resume(plan.vmId, run)
        for (const [path, { backupId }] of world.taken)
          if (backupId === plan.backupId) world.taken.delete(path)
      },
      leftovers: async () => [...world.taken].map(([path, { backupId, base }]) => ({ path, backupId, base })),
      drop: async ({ path }) => void world.taken.delete(path),
    },
  }
  return world
}
