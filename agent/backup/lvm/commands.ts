import { SECOND_MS } from '../../../shared/domain/units.ts'
import type { CommandRunner, RunResult } from '../../../shared/exec.ts'
import { lvPath } from '../../storage/lvm-names.ts'
import { told } from '../../storage/volume-store.ts'
import { mapperName } from './names.ts'
import { mountOptions, type PlannedSnapshot } from './own.ts'

/** LVM waits for its lock and for every disk of the blade; a sick disk answers after its own 30 s time-out. */
const LIMIT = { timeoutMs: 120 * SECOND_MS }
type Lv = Pick<PlannedSnapshot, 'group' | 'name'>
const full = ({ group, name }: Lv) => `${group}/${name}`

/**
 * The room of a classic snapshot, made before the guest is held: a zeroed first chunk is an empty table of changes, so that
 * only its joining to the volume is left. That is half of what `lvcreate --snapshot` does.
 */
export async function createRoom(
  { roomBytes, ...lv }: PlannedSnapshot,
  tags: readonly string[],
  run: CommandRunner,
): Promise<void> {
  const words = ['lvcreate', '--yes', '--wipesignatures', 'n', '--zero', 'y', '--size', `${roomBytes}b`]
  const argv = [...words, ...tags.flatMap(tag => ['--addtag', tag]), '--name', lv.name, lv.group]
  await told(`failed to make room for the snapshot of ${lv.group}/${lv.origin}`, run.run(argv, LIMIT))
  await run.run(['lvchange', '--activate', 'n', full(lv)], LIMIT)
}

/** Typed into LVM's own prompt while the guest is held. No copy of the metadata in /etc/lvm: the next change writes one. */
export function joinWords(lv: PlannedSnapshot): string[] {
  const quick = `"backup{backup=0 archive=0} activation{monitoring=0}"`
  const words = ['lvconvert', '--yes', '--snapshot', '--zero', 'n', '--noudevsync', '--config', quick]
  return [...words, `${lv.group}/${lv.origin}`, full(lv)]
}

export function thinWords(lv: PlannedSnapshot, tags: readonly string[]): string[] {
  const words = ['lvcreate', '--yes', '--snapshot', '--permission', 'r', '--setactivationskip', 'y']
  const quick = ['--noudevsync', '--autobackup', 'n', '--monitor', 'n']
  return [
    ...words,
    ...quick,
    ...tags.flatMap(tag => ['--addtag', tag]),
    '--name',
    lv.name,
    `${lv.group}/${lv.origin}`,
  ]
}

/** Made without waiting for udev: its device is there when this returns. */
export async function makeVisible(lv: PlannedSnapshot, run: CommandRunner): Promise<void> {
  if (lv.kind === 'thin') {
    await run.run(['lvchange', '--activate', 'y', '--ignoreactivationskip', full(lv)], LIMIT)
    return
  }
  const settle = ['udevadm', 'settle', '--timeout', '30', `--exit-if-exists=${lvPath(lv)}`]
  await run.run(settle, LIMIT)
}

export async function removeLv(lv: Lv, run: CommandRunner): Promise<void> {
  await told(`failed to remove ${lvPath(lv)}`, run.run(['lvremove', '--yes', full(lv)], LIMIT))
}

/** The snapshot stands until it is replaced: nobody needs its device meanwhile. */
export async function keepLv(lv: Lv, tag: string, run: CommandRunner): Promise<void> {
  await told(
    `failed to keep ${lvPath(lv)}`,
    run.run(['lvchange', '--addtag', tag, '--activate', 'n', full(lv)], LIMIT),
  )
}

export async function extendLv(lv: Lv, byBytes: number, run: CommandRunner): Promise<void> {
  await run.run(['lvextend', '--size', `+${byBytes}b`, full(lv)], LIMIT)
}

/** Writes what a file system still holds in memory, so that LVM's own freeze of it during the pause finds little to do. */
export async function syncFileSystem(directory: string, run: CommandRunner): Promise<void> {
  await run.run(['sync', '--file-system', directory], LIMIT)
}

export async function mount(lv: PlannedSnapshot, directory: string, run: CommandRunner): Promise<void> {
  if (lv.fileSystem === null) return
  await run.run(['mkdir', '--parents', directory], LIMIT)
  const how = ['--types', lv.fileSystem, '--options', mountOptions(lv.fileSystem)]
  await told(
    `failed to mount the snapshot of ${lv.group}/${lv.origin}`,
    run.run(['mount', ...how, lvPath(lv), directory], LIMIT),
  )
}

/** At once gone from the tree, and really when the last reader has closed its file. */
export async function unmount(directory: string, run: CommandRunner): Promise<void> {
  await told(`failed to unmount ${directory}`, run.run(['umount', directory], LIMIT))
  await run.run(['rmdir', directory], { ...LIMIT, okExitCodes: [0, 1] })
}

/**
 * An LVM that was killed between suspending and resuming a device leaves it suspended, and the VM on it hangs. Resumes what
 * is suspended of a plan's volumes and pools. Devices that are well are left alone.
 */
export async function resumeDevices(
  snapshots: readonly PlannedSnapshot[],
  run: CommandRunner,
): Promise<void> {
  if (snapshots.length === 0) return
  const ours = snapshots.flatMap(lv => {
    const origin = mapperName(lv.group, lv.origin)
    const pool = mapperName(lv.group, lv.pool)
    return lv.kind === 'thin' ? [origin, `${pool}-tpool`, pool] : [origin, `${origin}-real`]
  })
  const argv = [
    'dmsetup',
    'info',
    '--columns',
    '--noheadings',
    '--separator',
    ' ',
    '--options',
    'name,suspended',
  ]
  const { stdout } = await run.run(argv, LIMIT)
  const suspended = stdout
    .split('\n')
    .filter(line => /\ssuspended\s*$/i.test(line))
    .map(line => line.trim().split(/\s+/)[0] ?? '')
  // What lies below first: a device cannot answer while the one under it stands still.
  for (const name of [...new Set(ours)].reverse()) {
    if (suspended.includes(name)) await run.run(['dmsetup', 'resume', name], LIMIT)
  }
}

export async function runThinDelta(
  pool: { readonly group: string; readonly pool: string },
  ids: readonly [number, number],
  run: CommandRunner,
): Promise<RunResult> {
  const metadata = `/dev/mapper/${mapperName(pool.group, pool.pool)}_tmeta`
  const which = ['--metadata-snap', '--thin1', String(ids[0]), '--thin2', String(ids[1])]
  return await run.run(['thin_delta', ...which, metadata], LIMIT)
}
