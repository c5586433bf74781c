import { errorCode, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { findLv, readReport } from '../../storage/lvm.ts'
import type { LvName } from '../../storage/lvm-names.ts'
import { isClassicSnapshot, type LogicalVolume, type LvmReport, lvStorage } from '../../storage/lvm-text.ts'
import type { SnapshotPlan, SnapshotRequest } from '../snapshots.ts'
import type { EngineParts } from './engine.ts'
import { canFreeze, type GuestState, readState } from './guest.ts'
import { knownBad, upstreamVersion } from './known-bad-kernels.ts'
import { snapshotName } from './names.ts'
import { type OwnPlan, ownAsJson, type PlannedSnapshot } from './own.ts'
import { type DiskPlace, placeOfDisk } from './place.ts'
import { dropBases } from './release.ts'
import { checkPool, isPoolFull, lacksOnlyData, poolNeeded, thickNeeded, thickSizes } from './room.ts'

interface PlanParts extends EngineParts {
  readonly onDropped: ((path: string) => void) | undefined
}

/** Finds out everything before the guest is touched; see `Snapshots.plan`. */
export async function makePlan(
  parts: PlanParts,
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
  const report = await withoutBases(parts, found, drafts, run)
  const rateOf = drafts.some(isThick) ? await parts.rates.look() : () => 0
  const snapshots = sized(await withRoom(parts, report, { drafts, rateOf }, run), { drafts, rateOf })
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

function draft(report: LvmReport, place: DiskPlace, backupId: string, number: number): PlannedSnapshot {
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

function findOrigin(report: LvmReport, { group, name }: LvName): LogicalVolume {
  const origin = findLv(report, { group, name })
  if (origin === undefined)
    throw new LifeboatError('refused', `there is no LV ${name} in volume group ${group}`)
  return origin
}

/** A pool too full loses the bases of earlier nights before a backup is refused for it. */
async function withoutBases(
  parts: EngineParts,
  found: LvmReport,
  drafts: readonly PlannedSnapshot[],
  run: CommandRunner,
): Promise<LvmReport> {
  let report = found
  for (const pool of poolsOf(found, drafts)) {
    if (isPoolFull(pool) && (await dropBases(parts, report, pool, run))) report = await readReport(run)
  }
  return report
}

/** What is to be snapshotted, and how fast a device is written. */
interface Wanted {
  readonly drafts: readonly PlannedSnapshot[]
  readonly rateOf: (device: string) => number
}

/**
 * Where room is not free, what is kept of VMs that moved goes for it (rule 3): asked for all places at once, since it
 * would go in vain when one of them is too full all the same.
 */
async function withRoom(
  { makeRoom, onDropped }: PlanParts,
  report: LvmReport,
  wanted: Wanted,
  run: CommandRunner,
): Promise<LvmReport> {
  const lacking = new Map<string, number>()
  for (const pool of poolsOf(report, wanted.drafts)) {
    if (lacksOnlyData(pool)) lacking.set(`${pool.group}/${pool.name}`, poolNeeded(pool))
    else checkPool(pool)
  }
  for (const { group, needs } of thickOf(report, wanted)) {
    const needed = thickNeeded(group, needs)
    if (needed > group.freeBytes) lacking.set(group.name, needed)
  }
  const dropped = lacking.size === 0 ? [] : await makeRoom(lacking, run)
  for (const path of dropped) onDropped?.(path)
  return dropped.length > 0 ? await readReport(run) : report
}

/** Checks the pools of thin ones, and gives thick ones their size. */
function sized(report: LvmReport, wanted: Wanted): PlannedSnapshot[] {
  for (const pool of poolsOf(report, wanted.drafts)) checkPool(pool)
  const sizes = new Map<string, number>()
  for (const { group, mine, needs } of thickOf(report, wanted)) {
    for (const [index, bytes] of thickSizes(group, needs).entries()) sizes.set(mine[index]?.name ?? '', bytes)
  }
  return wanted.drafts.map(lv => ({ ...lv, roomBytes: sizes.get(lv.name) ?? 0 }))
}

const isThick = ({ kind }: PlannedSnapshot) => kind === 'thick'

/** Pools of the thin ones, each once. */
function poolsOf(report: LvmReport, drafts: readonly PlannedSnapshot[]): LogicalVolume[] {
  const pools = drafts
    .filter(one => !isThick(one))
    .map(({ group, pool }) => findOrigin(report, { group, name: pool }))
  return [...new Set(pools)]
}

/** Thick ones by their volume group, with what each needs. */
function thickOf(report: LvmReport, { drafts, rateOf }: Wanted) {
  const thick = drafts.filter(isThick)
  return report.groups.flatMap(group => {
    const mine = thick.filter(lv => lv.group === group.name)
    const needs = mine.map(lv => {
      const { minor } = findOrigin(report, { group: lv.group, name: lv.origin })
      const path = `/dev/${lv.group}/${lv.origin}`
      return { path, originBytes: lv.originBytes, writtenPerSecond: rateOf(`dm-${minor}`) }
    })
    return mine.length === 0 ? [] : [{ group, mine, needs }]
  })
}

async function chooseHold(
  mode: SnapshotRequest['mode'],
  state: GuestState,
  canFreeze: () => Promise<boolean>,
): Promise<OwnPlan['hold']> {
  if (mode === 'crash' || state !== 'running') return 'none'
  return mode === 'freeze' && (await canFreeze()) ? 'freeze' : 'pause'
}
