import { median } from './backup-measure.ts'
import { verdict } from './backup-verdicts.ts'
import type { ClusterShape } from './placement-clusters.ts'
import { type CaseResult, type Need, TOOLS, type Tool } from './placement-quality.ts'

export interface ShapeResults {
  readonly shape: ClusterShape
  readonly cases: readonly CaseResult[]
}

/** `10 blades, memory 97 %, disk 92 %` */
function shapeName({ blades, drained = 1, utilisation, diskUtilisation }: ClusterShape): string {
  const percent = (share: number) => `${Math.round(share * 100)} %`
  const disk = diskUtilisation === undefined ? '' : `, disk ${percent(diskUtilisation)}`
  const many = drained === 1 ? '' : `, ${drained} drained`
  return `${blades} blades, memory ${percent(utilisation)}${disk}${many}`
}

/** One shape: what the reference says, who solved how many of it, and at what price. */
export function describeShape({ shape, cases }: ShapeResults): string[] {
  const lines = [`${shapeName(shape)}: ${cases.length} clusters`]
  for (const need of ['direct', 'room', 'more', 'open'] as const) {
    const some = cases.filter(one => one.need === need)
    if (some.length === 0) continue
    const solved = TOOLS.filter(tool => some.some(one => one.solved[tool] !== undefined)).map(
      tool => `${tool} ${some.filter(one => one.solved[tool]).length}`,
    )
    lines.push(`  ${LABELS[need]}: ${String(some.length).padStart(3)}   solved by ${solved.join(', ')}`)
  }
  const asides = cases.filter(one => one.need === 'room').map(one => one.asides)
  if (asides.length > 0) lines.push(`  VMs that step aside at the optimum: ${histogram(asides)}`)
  const bytes = ratios(cases)
  if (bytes.length > 0) {
    const extra = extraRatios(cases)
    const aside = extra.length === 0 ? '' : `; of those that step aside alone ${spread(extra)}`
    lines.push(`  bytes by ours / optimum: ${spread(bytes)}${aside}`)
  }
  const opinions = cases.flatMap(one => one.milp ?? [])
  if (opinions.length > 0) lines.push(`  CBC against the reference: ${histogram(opinions)}`)
  lines.push(
    `  ours, read and planned: median ${median(cases.map(one => one.ourMs)).toFixed(1)} ms, longest ${Math.max(...cases.map(one => one.ourMs)).toFixed(0)} ms`,
  )
  for (const one of cases.filter(each => each.broken.length > 0).slice(0, 3)) {
    lines.push(`  *** seed ${one.seed} BREAKS A RULE: ${one.broken.slice(0, 2).join('; ')}`)
  }
  const missed = cases.filter(
    one => one.solved.ours === false && (one.need === 'direct' || one.need === 'room'),
  )
  if (missed.length > 0) lines.push(`  seeds ours did not solve: ${missed.map(one => one.seed).join(', ')}`)
  return lines
}

const LABELS: Readonly<Record<Need, string>> = {
  direct: 'feasible directly     ',
  room: 'with 1 to 4 stepping aside',
  more: 'not with four         ',
  open: 'reference gave up     ',
}

/** Each goal with what was found, over all shapes. */
export function qualityVerdicts(results: readonly ShapeResults[]): string[] {
  const all = results.flatMap(({ cases }) => cases)
  const direct = all.filter(one => one.need === 'direct')
  const room = all.filter(one => one.need === 'room')
  const contradictions = all.filter(one => one.milp === 'CONTRADICTS').length
  const lines = [
    verdict(
      'plans that break a rule in some order',
      all.filter(one => one.broken.length > 0).length,
      'at most',
      0,
    ),
    verdict('directly feasible ones solved, %', percentSolved(direct, 'ours'), 'at least', 100),
    verdict('those that need one to four VMs aside solved, %', percentSolved(room, 'ours'), 'at least', 99),
    verdict(
      'bytes moved against the exact optimum, worst case',
      Math.max(1, ...ratios(all)),
      'at most',
      1.05,
    ),
  ]
  for (const tool of TOOLS.slice(1)) {
    if (all.every(one => one.solved[tool] === undefined)) continue
    const more = all.filter(one => one.solved.ours && one.solved[tool] === false).length
    const less = all.filter(one => !one.solved.ours && one.solved[tool]).length
    lines.push(verdict(`solved by ${tool} and not by ours (the other way: ${more})`, less, 'at most', 0))
  }
  if (all.some(one => one.milp !== undefined)) {
    lines.push(verdict('answers of the reference that CBC contradicts', contradictions, 'at most', 0))
  }
  return lines
}

function percentSolved(cases: readonly CaseResult[], tool: Tool): number {
  if (cases.length === 0) return Number.NaN
  return (100 * cases.filter(one => one.solved[tool]).length) / cases.length
}

function ratios(cases: readonly CaseResult[]): number[] {
  return cases.flatMap(({ bytes }) => (bytes === undefined ? [] : bytes.ours / bytes.best))
}

/** Where somebody must step aside: how much more does so than must. */
function extraRatios(cases: readonly CaseResult[]): number[] {
  return cases.flatMap(({ bytes }) =>
    bytes === undefined || bytes.best === bytes.leaving
      ? []
      : (bytes.ours - bytes.leaving) / (bytes.best - bytes.leaving),
  )
}

function spread(values: readonly number[]): string {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  return `mean ${mean.toFixed(3)}, worst ${Math.max(...values).toFixed(3)}`
}

function histogram(values: readonly (string | number)[]): string {
  const counts = new Map<string | number, number>()
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([value, count]) => `${value} (${count} times)`)
    .join(', ')
}
