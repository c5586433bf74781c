/** Consecutive steps, both ends included. */
export interface Steps {
  from: number
  to: number
}

/** What the serial lines of one guest say, all the files together that it left on the blades it has been on. */
export interface SerialReport {
  /** How often "BOOT" was printed. */
  boots: number
  first: number
  last: number
  /** Steps that were printed more than once: two copies ran, or one was set back. */
  doubled: Steps[]
  /** Steps between first and last that were never printed while the guest ran on. */
  missing: Steps[]
  /**
   * Steps missing right before a boot: the blade lost its power, and with it the end of the log that it had not yet
   * written. The volumes know whether the steps themselves were kept.
   */
  unwitnessed: Steps[]
  /** Read-backs that differed, and I/O errors, as the guest itself saw them. */
  mismatches: number
  ioErrors: number
}

/**
 * Reads serial logs, in any order. A live migration may cut a line in two, its head in the source's log and its tail
 * in the target's; such a step counts as printed when two pieces make it up.
 */
export function checkSerial(logs: readonly string[]): SerialReport {
  const { times, fragments, afterBoot } = readLines(logs)
  const steps = [...times.keys()].sort((a, b) => a - b)
  const first = steps[0] ?? 0
  const last = steps.at(-1) ?? 0
  const gaps: Steps[] = []
  for (const [i, step] of steps.entries()) {
    const next = steps[i + 1] ?? step + 1
    const absent = range(step + 1, next - 1).filter(n => !isPieced(n, fragments))
    gaps.push(...toRanges(absent))
  }
  return {
    boots: countOf(logs, /BOOT\n/g),
    first,
    last,
    doubled: toRanges(steps.filter(step => (times.get(step) ?? 0) > 1)),
    missing: gaps.filter(gap => !afterBoot.has(gap.to + 1)),
    unwitnessed: gaps.filter(gap => afterBoot.has(gap.to + 1)),
    mismatches: countOf(logs, /!/g),
    ioErrors: countOf(logs, /E/g),
  }
}

/** How often each step was printed, the pieces of cut lines, and the first step after each boot. */
function readLines(logs: readonly string[]) {
  const times = new Map<number, number>()
  const fragments: string[] = []
  const afterBoot = new Set<number>()
  for (const log of logs) {
    // A file system that lost its power may leave zero bytes where the end of a log should be.
    const runs = log.replace(/[!E\0]/g, '').split('BOOT\n')
    for (const [index, run] of runs.entries()) {
      let isFirst = index > 0
      for (const line of run.split('\n')) {
        // Longer than a step: the head of a cut line, and after it the whole one the guest printed when it came back.
        const rest = line.length < 8 ? line : line.slice(0, -8)
        if (rest !== '') fragments.push(rest)
        if (line.length < 8) continue
        const step = Number.parseInt(line.slice(-8), 16)
        times.set(step, (times.get(step) ?? 0) + 1)
        if (isFirst) afterBoot.add(step)
        isFirst = false
      }
    }
  }
  return { times, fragments, afterBoot }
}

function isPieced(step: number, fragments: readonly string[]): boolean {
  const hex = step.toString(16).padStart(8, '0')
  return fragments.some(head => hex.startsWith(head) && fragments.includes(hex.slice(head.length)))
}

function countOf(logs: readonly string[], pattern: RegExp): number {
  return logs.reduce((sum, log) => sum + (log.match(pattern)?.length ?? 0), 0)
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i)
}

function toRanges(sorted: readonly number[]): Steps[] {
  const ranges: Steps[] = []
  for (const step of sorted) {
    const current = ranges.at(-1)
    if (current !== undefined && current.to === step - 1) current.to = step
    else ranges.push({ from: step, to: step })
  }
  return ranges
}
