import type { Clock } from '../../shared/clock.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { type LvName, lvPath } from './lvm-names.ts'
import {
  chunkReport,
  FULL_REPORT,
  type LogicalVolume,
  type LvmReport,
  parseChunkBytes,
  parseFullReport,
} from './lvm-text.ts'
import { told } from './volume-store.ts'

/** One inventory refresh asks for pools, disks and kept volumes: one look at LVM serves them all. */
const REPORT_AGE_MS = 3 * SECOND_MS
/** LVM waits for its lock and for every disk of the blade; a sick disk answers after its own 30 s time-out. */
const READ_LIMIT_MS = 40 * SECOND_MS
/** Removing a classic snapshot's origin or creating on a busy mirror takes seconds; a minute is a hang. */
const CHANGE_LIMIT_MS = 120 * SECOND_MS

/** LVM's commands, one function each, no decisions. Errors: `command-failed`, `tool-missing`, `bad-tool-output`, `timeout`. */
export interface Lvm {
  /** At most 3 s old; `fresh` asks LVM now. Whatever this object changes makes the next report fresh. */
  report(fresh?: 'fresh'): Promise<LvmReport>
  /** Chunk size of a thin pool in bytes. */
  chunkBytes(pool: LvName): Promise<number>
  createThick(volume: LvName, sizeBytes: number, tag: string, run: CommandRunner): Promise<void>
  createThin(volume: LvName, pool: string, sizeBytes: number, tag: string, run: CommandRunner): Promise<void>
  remove(volume: LvName, run: CommandRunner): Promise<void>
  rename(volume: LvName, newName: string, run: CommandRunner): Promise<void>
  changeTags(
    volume: LvName,
    change: { add?: readonly string[]; remove?: readonly string[] },
    run: CommandRunner,
  ): Promise<void>
  activate(volume: LvName, run: CommandRunner): Promise<void>
}

/** `reader` asks; changes go through the runner of the operation they belong to, so that it keeps them. */
export function createLvm(options: { reader: CommandRunner; clock: Clock }): Lvm {
  const { reader, clock } = options
  let latest: { readonly at: number; readonly report: Promise<LvmReport> } | undefined

  const change = async (what: string, argv: readonly string[], run: CommandRunner): Promise<void> => {
    try {
      await told(what, run.run(argv, { timeoutMs: CHANGE_LIMIT_MS }))
    } finally {
      // Also after a failure: a command that was killed may have done its work.
      latest = undefined
    }
  }

  return {
    report(fresh) {
      const now = clock.now()
      if (fresh === undefined && latest !== undefined && now - latest.at < REPORT_AGE_MS) return latest.report
      const report = readReport(reader)
      const mine = { at: now, report }
      latest = mine
      report.catch(() => {
        if (latest === mine) latest = undefined
      })
      return report
    },
    async chunkBytes(pool) {
      const argv = chunkReport(`${pool.group}/${pool.name}`)
      return parseChunkBytes((await reader.run(argv, { timeoutMs: READ_LIMIT_MS })).stdout)
    },
    createThick: (volume, sizeBytes, tag, run) =>
      change(
        `failed to create ${lvPath(volume)}`,
        // --yes answers for an old file system's signature found in the new LV's first sectors: it is wiped.
        [
          'lvcreate',
          '--yes',
          '--wipesignatures',
          'y',
          '--zero',
          'y',
          '--addtag',
          tag,
          '--size',
          `${sizeBytes}b`,
        ].concat(['--name', volume.name, volume.group]),
        run,
      ),
    createThin: (volume, pool, sizeBytes, tag, run) =>
      change(
        `failed to create ${lvPath(volume)}`,
        ['lvcreate', '--yes', '--addtag', tag, '--virtualsize', `${sizeBytes}b`, '--thinpool', pool].concat([
          '--name',
          volume.name,
          volume.group,
        ]),
        run,
      ),
    remove: (volume, run) =>
      change(
        `failed to remove ${lvPath(volume)}`,
        ['lvremove', '--yes', `${volume.group}/${volume.name}`],
        run,
      ),
    rename: (volume, newName, run) =>
      change(
        `failed to rename ${lvPath(volume)} to ${newName}`,
        ['lvrename', volume.group, volume.name, newName],
        run,
      ),
    changeTags: (volume, { add = [], remove = [] }, run) =>
      change(
        `failed to mark ${lvPath(volume)}`,
        [
          'lvchange',
          ...add.flatMap(tag => ['--addtag', tag]),
          ...remove.flatMap(tag => ['--deltag', tag]),
          `${volume.group}/${volume.name}`,
        ],
        run,
      ),
    activate: (volume, run) =>
      change(
        `failed to activate ${lvPath(volume)}`,
        ['lvchange', '--activate', 'y', `${volume.group}/${volume.name}`],
        run,
      ),
  }
}

/** The LV of that name in a report. */
export function findLv(report: LvmReport, { group, name }: LvName): LogicalVolume | undefined {
  return report.volumes.find(volume => volume.group === group && volume.name === name)
}

/** What LVM has now. */
export async function readReport(run: CommandRunner): Promise<LvmReport> {
  const { stdout } = await told('failed to ask LVM', run.run(FULL_REPORT, { timeoutMs: READ_LIMIT_MS }))
  return parseFullReport(stdout)
}
