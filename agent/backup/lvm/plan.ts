import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { LvName } from '../../storage/lvm-names.ts'
import { isClassicSnapshot, lvStorage } from '../../storage/lvm-text.ts'
import type { SnapshotPlan, SnapshotRequest } from '../snapshots.ts'
import { readReport } from './commands.ts'
import type { EngineParts } from './engine.ts'
import { canFreeze, type GuestState, readState } from './guest.ts'
import { knownBad, upstreamVersion } from './known-bad-kernels.ts'
import { snapshotName } from './names.ts'
import { type OwnPlan, ownAsJson, type PlannedSnapshot } from './own.ts'
import { type DiskPlace, placeOfDisk } from './place.ts'
import { dropBases } from './release.ts'
import type { SnapshotLv, SnapshotReport } from './report-text.ts'
import { checkPool, isPoolFull, lacksOnlyData, poolNeeded, thickNeeded, thickSizes } from './room.ts'

/** Finds out everything before the guest is touched; see `Snapshots.plan`. */
export async function makePlan(
  parts: EngineParts,
  request: SnapshotRequest,
  run: CommandRunner,
): Promise<SnapshotPlan> {
  const { backupId, vm, mode, pauseBudgetMs } = request
  const guest = { uri: parts.uri, vmId: vm.id }
  const state = await readState(guest, run)
  const sources: OwnPlan['sources'] = []
  const places: { readonly place: DiskPlace; readonly snapshot: number }[] = []
  const origins: string[] = []
  for (const volume of vm.volumes) {
    const place = await placeUnlessOff(parts, volume, state)
    if (place === undefined) {
      sources.push({ volume, snapshot: -1, file: volume.path })
      continue
    }
    const origin = `${place.lv.group}/${place.lv.name}`
    if (!origins.includes(origin)) {
      origins.push(origin)
      places.push({ place, snapshot: origins.length - 1 })
    }
    const file = place.kind === 'file' ? place.file : ''
    sources.push({ volume, snapshot: origins.indexOf(origin), file })
  }
  if (places.length > 0) await checkKernel(parts, request.force)
  const found = await readReport(run)
  const drafts = places.map(({ place, snapshot }) => draft(found, place, backupId, snapshot))
  const report = await withRoomInPools(parts, found, drafts, run)
  const snapshots = await withSizes(parts, report, drafts, run)
  const hold = await chooseHold(mode, state, () => canFreeze(guest, run))
  const own: OwnPlan = { hold, snapshots, sources }
  return { backupId, vmId: vm.id, vmName: vm.name, mode, pauseBudgetMs, own: ownAsJson(own) }
}

/** Undefined for a file that no snapshot can hold, of a VM that is off: the file itself is then read. */
async function placeUnlessOff(
  { files }: EngineParts,
  volume: SnapshotRequest['vm']['volumes'][number],
  state: GuestState,
): Promise<DiskPlace | undefined> {
  try {
    return await placeOfDisk(volume, files)
  } catch (error) {
    if (state === 'stopped' && volume.storage === 'file' && errorCode(error) === 'refused') return undefined
    throw error
  }
}

async function checkKernel({ files, kernels }: EngineParts, force: boolean): Promise<void> {
  const version = upstreamVersion(await files.read('/proc/version'))
  const bad = knownBad(version, kernels)
  if (bad === undefined || force) return
  throw new LifeboatError(
    'refused',
    `kernel ${version} is known to be bad for snapshots: ${bad.why}; boot ${bad.before} or later, or force it`,
  )
}

function draft(report: SnapshotReport, place: DiskPlace, backupId: string, number: number): PlannedSnapshot {
  const origin = findOrigin(report, place.lv)
  const kind = lvStorage(origin)
  if (kind === undefined || isClassicSnapshot(origin)) {
    throw new LifeboatError(
      'refused',
      `/dev/${origin.group}/${origin.name} is an LV of a kind that cannot be snapshotted (${origin.attributes})`,
    )
  }
  return {
    group: origin.group,
    origin: origin.name,
    name: snapshotName(origin.group, backupId, number),
    kind,
    pool: kind === 'thin' ? origin.pool : '',
    roomBytes: 0,
    originBytes: origin.sizeBytes,
    fileSystem: place.kind === 'file' ? place.fileSystem : null,
    mountedOn: place.kind === 'file' ? place.mountedOn : '',
  }
}

function findOrigin(report: SnapshotReport, { group, name }: LvName): SnapshotLv {
  const origin = report.volumes.find(lv => lv.group === group && lv.name === name)
  if (origin === undefined)
    throw new LifeboatError('refused', `there is no LV ${name} in volume group ${group}`)
  return origin
}

/**
 * Checks the pools of thin ones. A pool too full loses the bases of earlier nights, then what is kept of VMs that moved
 * (rule 3), before a backup is refused for it.
 */
async function withRoomInPools(
  parts: EngineParts,
  found: SnapshotReport,
  drafts: readonly PlannedSnapshot[],
  run: CommandRunner,
): Promise<SnapshotReport> {
  let report = found
  for (const { group, pool } of drafts.filter(one => one.kind === 'thin')) {
    const name = { group, name: pool }
    if (isPoolFull(findOrigin(report, name)) && (await dropBases(parts, report, name, run))) {
      report = await readReport(run)
    }
    const found = findOrigin(report, name)
    if (
      lacksOnlyData(found) &&
      (await parts.makeRoom(`${group}/${pool}`, poolNeeded(found), run)).length > 0
    ) {
      report = await readReport(run)
    }
    checkPool(findOrigin(report, name))
  }
  return report
}

/** Thick ones get their size; where that is not free, what is kept of VMs that moved goes for it (rule 3). */
async function withSizes(
  { rates, makeRoom }: EngineParts,
  found: SnapshotReport,
  drafts: readonly PlannedSnapshot[],
  run: CommandRunner,
): Promise<PlannedSnapshot[]> {
  const thick = drafts.filter(one => one.kind === 'thick')
  if (thick.length === 0) return [...drafts]
  const rateOf = await rates.look()
  const sized = new Map<string, number>()
  for (const seen of found.groups) {
    let group = seen
    const mine = thick.filter(lv => lv.group === group.name)
    if (mine.length === 0) continue
    const needs = mine.map(lv => {
      const { minor } = findOrigin(found, { group: lv.group, name: lv.origin })
      const path = `/dev/${lv.group}/${lv.origin}`
      return { path, originBytes: lv.originBytes, writtenPerSecond: rateOf(`dm-${minor}`) }
    })
    const needed = thickNeeded(group, needs)
    if (needed > group.freeBytes && (await makeRoom(group.name, needed, run)).length > 0) {
      group = (await readReport(run)).groups.find(({ name }) => name === seen.name) ?? seen
    }
    for (const [index, bytes] of thickSizes(group, needs).entries()) sized.set(mine[index]?.name ?? '', bytes)
  }
  return drafts.map(lv => ({ ...lv, roomBytes: sized.get(lv.name) ?? 0 }))
}

async function chooseHold(
  mode: SnapshotRequest['mode'],
  state: GuestState,
  canFreeze: () => Promise<boolean>,
): Promise<OwnPlan['hold']> {
  if (mode === 'crash' || state !== 'running') return 'none'
  return mode === 'freeze' && (await canFreeze()) ? 'freeze' : 'pause'
}
