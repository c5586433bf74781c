/** Text for people about room, and about what a failure would take. Pure; nothing here prints. */
import type {
  BladeLoad,
  CapacityReport,
  FleetRoom,
  Loss,
  Relief,
  Unplaced,
} from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes, formatDuration } from '../../shared/domain/units.ts'
import { byReason } from '../../shared/domain/unplaced-words.ts'
import { renderAge, renderNPlusOne, renderSection, renderShare, renderTable } from './render.ts'

/** The whole report. `alarming`: how what is lost is made to stand out. */
export function renderCapacity(report: CapacityReport, alarming: (text: string) => string): string {
  const { room, nPlusOne, losses, loads, nowAt } = report
  const dying = losses.filter(loss => loss.blades.length > 0)
  const safe = losses.filter(loss => loss.blades.length === 0)
  return [
    ...(room === undefined ? [] : renderFleetRoom(room)),
    ...(nPlusOne === undefined ? [] : ['', alarmingIf(!nPlusOne.kept, renderNPlusOne(nPlusOne), alarming)]),
    ...(nPlusOne?.kept === false ? ['Whether moving VMs helps: lifeboat rebalance --plan'] : []),
    '',
    renderLoads(loads),
    '',
    'If it died now:',
    renderLosses(dying, nowAt),
    ...(safe.length === 0 ? [] : ['', `No blade depends on one alone: ${safe.map(titleOf).join(', ')}.`]),
    ...dying.flatMap(loss => renderMisfits(loss, alarming)),
    ...renderCommonRelief(dying.filter(loss => loss.relief.length > 0)),
  ].join('\n')
}

function alarmingIf(isAlarming: boolean, text: string, alarming: (text: string) => string): string {
  return isAlarming ? alarming(text) : text
}

/** What the fleet has in all, and what is left of it. */
export function renderFleetRoom(room: FleetRoom): string[] {
  const closed = room.blades - room.bladesOpen
  const free = room.memoryTotalBytes - room.memoryUsedBytes
  const width = Math.max(
    ...['places', 'memory', ...room.pools.map(pool => pool.name)].map(each => each.length),
  )
  const named = (name: string) => `  ${name.padEnd(width)}  `
  return [
    `${room.blades} blades, ${room.bladesOpen} take VMs${closed === 0 ? '' : ` (the room of the other ${closed} is not counted)`}:`,
    `${named('places')}${room.vms} of ${room.maxVms} taken, ${Math.max(0, room.maxVms - room.vms)} free`,
    `${named('memory')}${renderShare(room.memoryUsedBytes, room.memoryTotalBytes)} taken, ${formatBytes(Math.max(0, free))} free`,
    ...room.pools.map(
      pool =>
        `${named(pool.name)}${formatBytes(pool.freeBytes)} of ${formatBytes(pool.sizeBytes)} free (${pool.storage})${pool.reclaimableBytes === 0 ? '' : `, ${formatBytes(pool.reclaimableBytes)} more where volumes are kept after a move`}`,
    ),
    `  ${renderRoomiest(room.roomiest)}`,
  ]
}

function renderRoomiest(load: BladeLoad | undefined): string {
  if (load === undefined) return 'no blade takes another VM'
  const pools = load.pools.map(
    pool => `${formatBytes(pool.freeBytes + pool.reclaimableBytes)} in ${pool.name}`,
  )
  return `the largest VM that still fits: ${formatBytes(load.memoryTotalBytes - load.memoryUsedBytes)} of memory, on ${load.blade}${pools.length === 0 ? '' : ` (beside ${pools.join(', ')})`}`
}

/** Each blade's load. */
export function renderLoads(loads: readonly BladeLoad[]): string {
  return renderTable<BladeLoad>(
    [
      { title: 'BLADE', value: load => load.blade },
      { title: 'VMS', value: load => `${load.vms}/${load.maxVms}`, align: 'right' },
      { title: 'MEMORY', value: load => renderShare(load.memoryUsedBytes, load.memoryTotalBytes) },
      {
        title: 'FREE ROOM',
        value: load => load.pools.map(pool => `${pool.name} ${formatBytes(pool.freeBytes)}`).join(', '),
      },
    ],
    loads,
    'No blades.',
  )
}

function renderLosses(losses: readonly Loss[], nowAt: number): string {
  const count = (number: number) => (number === 0 ? '' : String(number))
  return renderTable<Loss>(
    [
      { title: 'WHAT DIES', value: titleOf },
      { title: 'VMS', value: loss => String(loss.returns.length + loss.unplaced.length), align: 'right' },
      { title: 'COME BACK ON', value: targetsOf },
      {
        title: 'LAST BACK AFTER',
        value: loss => (loss.allBackMs === 0 ? '' : `~${formatDuration(loss.allBackMs)}`),
      },
      {
        title: 'OLDEST DATA',
        value: loss => (loss.oldestPointAt === 0 ? '' : renderAge(loss.oldestPointAt, nowAt)),
      },
      { title: 'NO RESTORE POINT', value: loss => count(loss.withoutPoint.length), align: 'right' },
      { title: 'NO PLACE', value: loss => count(loss.unplaced.length), align: 'right' },
    ],
    losses,
    'No blades.',
  )
}

/** `blade03`, `chassis chassis1`, `feed feed-a`. */
function titleOf({ kind, name }: Loss): string {
  return kind === 'blade' ? name : `${kind} ${name}`
}

/** More than these make a row too long for a terminal. */
const NAMED_TARGETS = 4

function targetsOf({ returns }: Loss): string {
  const counts = new Map<string, number>()
  for (const { to } of returns) counts.set(to, (counts.get(to) ?? 0) + 1)
  const all = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  const named = all.slice(0, NAMED_TARGETS).map(([to, vms]) => (vms === 1 ? to : `${to} (${vms})`))
  const more = all.length - named.length
  return `${named.join(', ')}${more === 0 ? '' : ` and ${more} more`}`
}

function renderMisfits(loss: Loss, alarming: (text: string) => string): string[] {
  if (loss.unplaced.length === 0) return []
  // Where one chassis is all there is, its loss is the loss of the fleet: so it is built, and no news.
  if (loss.bladesLeft === 0) return ['', `${loss.text}.`]
  return ['', alarming(`${loss.text}.`), ...renderUnplaced(loss.unplaced)]
}

/** More losses than these are counted, not named. */
const NAMED_LOSSES = 3

/** What would help, once for all losses that it helps: in a full fleet it is the same for each. */
function renderCommonRelief(losses: readonly Loss[]): string[] {
  const byText = new Map<string, Loss[]>()
  for (const loss of losses) {
    for (const { text } of loss.relief) byText.set(text, [...(byText.get(text) ?? []), loss])
  }
  const lines = [...byText]
    .sort(([, some], [, others]) => others.length - some.length)
    .map(([text, helped]) => {
      if (losses.length === 1) return text
      if (helped.length === losses.length) return `${text} (whichever dies)`
      const names = helped.slice(0, NAMED_LOSSES).map(titleOf).join(', ')
      const more = helped.length - NAMED_LOSSES
      return `${text} (should ${names}${more > 0 ? ` or one of ${more} more` : ''} die)`
    })
  return renderSection('What would help:', lines)
}

/** Why they have no place: one line for all of which the same is true. */
export function renderUnplaced(unplaced: readonly Unplaced[]): string[] {
  return byReason(unplaced).map(({ names, why }) => `  ${names}: ${why}`)
}

/** What would help; nothing when there is nothing to tell. */
export function renderRelief(relief: readonly Relief[]): string[] {
  return renderSection(
    'What would help:',
    relief.map(each => each.text),
  )
}

/** One loss in full: each VM, where it comes back, and from what. */
export function renderLossInFull(loss: Loss, nowAt: number, alarming: (text: string) => string): string {
  return [
    alarmingIf(!loss.survivable && loss.bladesLeft > 0, `${loss.text}.`, alarming),
    ...(loss.returns.length === 0
      ? []
      : [
          renderTable<Loss['returns'][number]>(
            [
              { title: 'VM', value: each => each.vm },
              { title: 'COMES BACK ON', value: each => each.to },
              { title: 'FROM', value: each => each.point || 'NO RESTORE POINT' },
              { title: 'AGE', value: each => (each.pointAt === 0 ? '' : renderAge(each.pointAt, nowAt)) },
              {
                title: 'VERIFIED',
                value: each => (each.point === '' ? '' : each.pointVerified ? 'yes' : 'not yet'),
              },
              {
                title: 'SIZE',
                value: each => (each.bytes === 0 ? '' : formatBytes(each.bytes)),
                align: 'right',
              },
              {
                title: 'BACK AFTER',
                value: each => (each.backAfterMs === 0 ? '' : `~${formatDuration(each.backAfterMs)}`),
              },
            ],
            loss.returns,
            '',
          ),
        ]),
    ...(loss.bladesLeft === 0 ? [] : renderUnplaced(loss.unplaced)),
    ...renderRelief(loss.relief),
  ].join('\n')
}
