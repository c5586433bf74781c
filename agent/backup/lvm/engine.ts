import { posix } from 'node:path'
import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import type { HostFiles } from '../../health/host-files.ts'
import { findLv, readReport } from '../../storage/lvm.ts'
import { lvOfPathOrRefuse, lvPath } from '../../storage/lvm-names.ts'
import type { MakeRoom } from '../../storage/volume-store.ts'
import type { Snapshots } from '../snapshots.ts'
import { KNOWN_BAD_KERNELS, type KnownBadKernel } from './known-bad-kernels.ts'
import { readMarks } from './names.ts'
import { makePlan } from './plan.ts'
import { releasePlan, removeSnapshot } from './release.ts'
import { takeSnapshots } from './take.ts'
import { watchSnapshots } from './watch.ts'
import { createWriteRates, type WriteRates } from './write-rate.ts'

/** Where file systems of snapshots are mounted. */
const MOUNT_DIRECTORY = '/run/lifeboat/snapshots'

export interface LvmSnapshotsOptions {
  /** Which libvirt; `qemu:///system` on a blade. */
  readonly uri: string
  readonly files: HostFiles
  readonly clock: Clock
  readonly log: Logger
  readonly makeRoom: MakeRoom
  /** @default KNOWN_BAD_KERNELS */
  readonly kernels?: readonly KnownBadKernel[]
}

/** What the files of this folder share. */
export interface EngineParts {
  readonly uri: string
  readonly files: HostFiles
  readonly clock: Clock
  readonly log: Logger
  readonly kernels: readonly KnownBadKernel[]
  readonly rates: WriteRates
  readonly makeRoom: MakeRoom
  mountPoint(lv: { readonly name: string }): string
}

/** The real Snapshots: LVM thick and thin, guests held through libvirt, a timer of systemd beside them. */
export function createLvmSnapshots(options: LvmSnapshotsOptions): Snapshots {
  const { uri, files, clock, log, makeRoom, kernels = KNOWN_BAD_KERNELS } = options
  const rates = createWriteRates(files, clock)
  const mountPoint = (lv: { readonly name: string }) => posix.join(MOUNT_DIRECTORY, lv.name)
  const parts: EngineParts = { uri, files, clock, log, makeRoom, kernels, rates, mountPoint }
  return {
    plan: (request, run, onDropped) => makePlan({ ...parts, onDropped }, request, run),
    take: async (plan, run) => {
      const snapshot = await takeSnapshots(parts, plan, run)
      log.info(
        `vm ${plan.vmName}: snapshotted for backup ${plan.backupId} (${snapshot.consistency}, stood still for ${snapshot.pauseMs} ms)`,
      )
      return snapshot
    },
    watch: (plan, run, signal) => watchSnapshots(parts, plan, run, signal),
    release: (plan, published, run) => releasePlan(parts, plan, published, run),
    async leftovers(run) {
      return (await readReport(run)).volumes.flatMap(lv => {
        const marks = readMarks(lv.tags)
        if (marks === undefined) return []
        return [{ path: lvPath(lv), backupId: marks.backupId, base: marks.basePoint !== undefined }]
      })
    },
    async drop({ path }, run) {
      const lv = findLv(await readReport(run), lvOfPathOrRefuse(path))
      if (lv === undefined) return
      if (readMarks(lv.tags) === undefined) {
        throw new LifeboatError('refused', `${path} bears no tag of a snapshot of ours`)
      }
      await removeSnapshot(parts, lv, run)
      log.info(`snapshot ${path}: dropped`)
    },
  }
}
