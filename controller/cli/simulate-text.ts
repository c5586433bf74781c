import type { BladeLoad, NPlusOne, Plan } from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatDuration } from '../../shared/domain/units.ts'
import { renderLoads } from './capacity-text.ts'
import { renderNPlusOne } from './render.ts'

/** What is printed of a simulation. */
export interface TimelineAnswer {
  readonly story: string
  readonly startsAt: number
  readonly timeline: readonly {
    readonly atMs: number
    readonly kind: string
    readonly text: string
    readonly plan?: Plan
  }[]
  readonly after: readonly BladeLoad[]
  readonly nPlusOne: NPlusOne
}

const INDENT = ' '.repeat(11)

/** Line by line what happens, when, and what is done about it; then the blades as they are in the end. */
export function renderTimeline(answer: TimelineAnswer): string {
  const lines = answer.timeline.flatMap(({ atMs, text, plan }) => [
    `${clock(atMs).padStart(INDENT.length - 2)}  ${text}`,
    ...(plan === undefined ? [] : renderMoves(plan)),
  ])
  return [
    ...(answer.story === '' ? [] : [answer.story, '']),
    ...(lines.length === 0 ? ['Nothing happens.'] : [`  0:00:00  is ${utc(answer.startsAt)}`, ...lines]),
    '',
    'In the end:',
    renderLoads(answer.after),
    '',
    renderNPlusOne(answer.nPlusOne),
  ].join('\n')
}

function utc(at: number): string {
  return new Date(at).toISOString().replace('T', ' ').replace('.000Z', ' UTC')
}

/** `1:30:00`: hours, minutes, seconds from the start. */
function clock(atMs: number): string {
  const seconds = Math.floor(atMs / 1000)
  const two = (value: number) => String(value).padStart(2, '0')
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

function renderMoves(plan: Plan): string[] {
  const names = new Map(plan.moves.map(move => [move.vmId, move.vm]))
  const moves = plan.moves.map(move => {
    const after = move.needs.map(id => names.get(id) ?? id)
    const notes = [
      move.method,
      ...(move.role === 'makes-room' ? ['steps aside'] : []),
      ...(after.length === 0 ? [] : [`after ${after.join(', ')}`]),
      `done after ~${formatDuration(move.expectedEndMs)}`,
    ]
    return `${INDENT}${move.vm}: ${move.from} → ${move.to} (${notes.join('; ')})`
  })
  const left = plan.unplaced.flatMap(vm => [
    `${INDENT}${vm.vm} stays:`,
    ...vm.reasons.map(reason => `${INDENT}  ${reason.blade === '' ? '' : `${reason.blade}: `}${reason.text}`),
  ])
  const relief = plan.relief.map(each => `${INDENT}what would help: ${each.text}`)
  return [...moves, ...left, ...relief]
}
