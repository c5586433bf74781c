import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { checkMoveId, keptLvName, keptTags, readMarks, tagsOfKept } from './kept-names.ts'
import { findLv, type Lvm } from './lvm.ts'
import { lvOfPathOrRefuse, lvPath } from './lvm-names.ts'
import { classicSnapshotOf, type LogicalVolume } from './lvm-text.ts'

/**
 * Tags first, name last: after a crash between the two the volume still is at its VM's path and, as `readMarks`
 * demands both, nobody takes it for a kept one. A second call goes on from there.
 */
export async function keepLv(
  lvm: Lvm,
  clock: Clock,
  path: string,
  moveId: string,
  run: CommandRunner,
): Promise<string> {
  const name = lvOfPathOrRefuse(path)
  const newName = keptLvName(name.group, name.name, moveId)
  const keptPath = lvPath({ group: name.group, name: newName })
  const report = await lvm.report('fresh')
  const already = findLv(report, { group: name.group, name: newName })
  if (already !== undefined && readMarks(newName, already.tags).kept?.moveId === moveId) return keptPath
  const volume = findLv(report, name)
  if (volume === undefined) throw new LifeboatError('not-found', `there is no LV ${path}`)
  const { arrivingBy } = readMarks(volume.name, volume.tags)
  if (arrivingBy !== undefined) {
    throw new LifeboatError('refused', `${path} is still arriving by move ${arrivingBy}`)
  }
  await markKept(lvm, volume, keptTags(moveId, name.name, clock.now()), run)
  await lvm.rename(volume, newName, run)
  return keptPath
}

/** The other way round: name first, so that a crash leaves a volume at its path with tags that mean nothing there. */
export async function unkeepLv(lvm: Lvm, path: string, moveId: string, run: CommandRunner): Promise<void> {
  const name = lvOfPathOrRefuse(path)
  const keptName = { group: name.group, name: keptLvName(name.group, name.name, checkMoveId(moveId)) }
  const report = await lvm.report('fresh')
  const kept = findLv(report, keptName)
  const atPath = findLv(report, name)
  if (kept !== undefined && atPath !== undefined) {
    throw new LifeboatError('already-exists', `another volume is at ${path}: ${lvPath(keptName)} stays kept`)
  }
  const volume = kept ?? atPath
  if (volume === undefined)
    throw new LifeboatError('not-found', `there is no LV ${path}, and none kept of it`)
  if (kept !== undefined) await lvm.rename(kept, name.name, run)
  const tags = tagsOfKept(volume.tags)
  if (tags.length > 0) await lvm.changeTags(name, { remove: tags }, run)
}

/** Removes a kept LV; gone already is fine. Throws `refused` when it is not kept, or has a classic snapshot. */
export async function dropLv(lvm: Lvm, path: string, run: CommandRunner): Promise<void> {
  const report = await lvm.report('fresh')
  const volume = findLv(report, lvOfPathOrRefuse(path))
  if (volume === undefined) return
  if (readMarks(volume.name, volume.tags).kept === undefined) {
    throw new LifeboatError('refused', `${path} is not marked as kept after a move`)
  }
  const snapshot = classicSnapshotOf(volume, report.volumes)
  if (snapshot !== undefined) {
    throw new LifeboatError('refused', `${path} has a snapshot ${lvPath(snapshot)}: remove that first`)
  }
  await lvm.remove(volume, run)
}

/** Sets our three tags in place of those that an earlier, unfinished keeping left. */
async function markKept(
  lvm: Lvm,
  volume: LogicalVolume,
  tags: readonly string[],
  run: CommandRunner,
): Promise<void> {
  const add = tags.filter(tag => !volume.tags.includes(tag))
  const remove = tagsOfKept(volume.tags).filter(tag => !tags.includes(tag))
  await lvm.changeTags(volume, { add, remove }, run)
}
