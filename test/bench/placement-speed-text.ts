import { verdict } from './backup-verdicts.ts'
import type { Ran } from './placement-run.ts'
import type { SpeedResult } from './placement-speed.ts'

const COLUMNS = [
  'blades (VMs)',
  'read+plan: first / median / CPU ms',
  'MiB',
  'lifeboat simulate: wall ms / CPU ms / MiB',
  'hail: wall / CPU s',
  'hbal: wall / CPU s',
]
const WIDTHS = [26, 37, 7, 43, 20, 20]

export function speedHead(): string {
  return row(COLUMNS)
}

/** One size as a line of the table. */
export function describeSpeed(result: SpeedResult): string {
  const { shape, vms, firstMs, medianMs, cpuMs, rssMib, command } = result
  const drained = shape.drained === undefined ? '' : `, ${shape.drained} drained`
  return row([
    `${shape.blades} (${vms}${drained})`,
    `${firstMs.toFixed(0)} / ${medianMs.toFixed(0)} / ${cpuMs.toFixed(0)}`,
    rssMib.toFixed(0),
    `${command.wallMs.toFixed(0)} / ${command.cpuMs.toFixed(0)} / ${command.peakMib.toFixed(0)}`,
    peer(result.hail),
    peer(result.hbal),
  ])
}

function peer(ran: Ran | undefined): string {
  if (ran === undefined) return 'not run'
  const figures = `${(ran.wallMs / 1000).toFixed(2)} / ${(ran.cpuMs / 1000).toFixed(2)}`
  return ran.code === 124 ? `> ${figures}` : figures
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, index) => cell.padEnd(WIDTHS[index] ?? 0))
    .join('')
    .trimEnd()
}

/**
 * The goals in milliseconds, for the median of a process that has planned before, as a controller has; of CPU, since the
 * wall says more about what else runs on the machine.
 */
const GOALS: readonly {
  readonly blades: number
  readonly drained?: number
  readonly most: number
  readonly mib?: number
}[] = [
  { blades: 200, drained: 14, most: 200 },
  { blades: 1000, most: 100 },
  { blades: 5000, most: 1000 },
  { blades: 10_000, most: 2000, mib: 1024 },
]

export function speedVerdicts(results: readonly SpeedResult[]): string[] {
  const lines: string[] = []
  for (const goal of GOALS) {
    const found = results.find(({ shape }) => shape.blades === goal.blades && shape.drained === goal.drained)
    if (found === undefined) continue
    const what = `${goal.blades} blades${goal.drained === undefined ? '' : `, a chassis of ${goal.drained} drained`}`
    lines.push(verdict(`${what}: read and planned, ms of CPU, median`, found.cpuMs, 'at most', goal.most))
    lines.push(
      `     wall ${found.medianMs.toFixed(0)} ms, the first time in a fresh process ${found.firstMs.toFixed(0)} ms; reading takes ${(100 * found.readShare).toFixed(0)} % of it`,
    )
    if (goal.mib !== undefined) {
      const peak = Math.max(found.rssMib, found.command.peakMib)
      lines.push(verdict(`${what}: resident memory at its peak, MiB`, peak, 'at most', goal.mib))
    }
    if (found.hail !== undefined) {
      lines.push(
        `     hail takes ${(found.hail.cpuMs / found.command.cpuMs).toFixed(1)} times the CPU of the whole command`,
      )
    }
  }
  return lines
}
