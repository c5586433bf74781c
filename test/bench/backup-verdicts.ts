import type { Floors } from './backup-floor.ts'
import { type Measured, median } from './backup-measure.ts'

/** What stands in the way of what does not hold, in the terms of the table above it. */
export function printFloors(
  found: Rounds,
  restic: string,
  floors: Floors,
  say: (text: string) => void,
): void {
  const theirs = found.get(restic) ?? []
  const ours = found.get(OURS) ?? []
  const { readS, writtenS, readBackS } = floors
  const proof1S = of(ours, one => one.ours?.proof1S ?? Number.NaN)
  const proof2S = of(ours, one => one.ours?.proof2S ?? Number.NaN)
  const whole = (of(ours, one => one.night1.cpuS) + proof1S) / of(theirs, one => one.night1.cpuS)
  say(
    `\nafter the nights, when nobody waits, the vault unpacks and hashes what came in: CPU ${proof1S.toFixed(1)} s and ${proof2S.toFixed(1)} s; with it night 1 takes ${whole.toFixed(2)} of ${restic}'s, which never looks`,
  )
  say('\nwhat this machine allows')
  say(`night 2: its image is read past the page cache in ${readS.toFixed(1)} s, with nothing done with it`)
  say(
    `restore: its bytes are written past the page cache and durable in ${writtenS.toFixed(1)} s, and read back in ${readBackS.toFixed(1)} s`,
  )
}

export const OURS = 'lifeboat'

export interface Stages {
  readonly night1: Measured
  readonly night2: Measured
  readonly restore: Measured
}

/** One tool in one round. */
export interface Round extends Stages {
  /** Of the repository after each night. */
  readonly size1: number
  readonly size2: number
  /** What the restored image takes on the disk: less than its size when it is sparse. */
  readonly restoredMib: number
  readonly ours:
    | {
        readonly workerPeakMib: number
        readonly vaultPeakMib: number
        readonly loopP99Ms: number
        readonly loopLongestMs: number
        /** A restore without the check before it. */
        readonly uncheckedS: number
        /** CPU of the vault after each night, unpacking and hashing what came in. */
        readonly proof1S: number
        readonly proof2S: number
      }
    | undefined
}

export type Rounds = Map<string, readonly Round[]>

const STAGES = ['night1', 'night2', 'restore'] as const

/** Medians of all tools as a table, then each aim with what was found. */
export function printVerdicts(found: Rounds, restic: string, say: (text: string) => void): void {
  say('\nmedians: wall s / CPU s / peak MiB of the largest process')
  const head = ['tool', ...STAGES, 'repo 1', 'added', 'restored MiB, sha256 equal']
  say(head.map(pad).join(''))
  for (const [name, rounds] of found) {
    const stages = STAGES.map(stage => {
      const parts = [
        of(rounds, one => one[stage].wallS).toFixed(1),
        of(rounds, one => one[stage].cpuS).toFixed(1),
        of(rounds, one => one[stage].peakMib).toFixed(0),
      ]
      return parts.join(' / ')
    })
    const sizes = [size1, added, restored].map(size => of(rounds, size).toFixed(0))
    say([name, ...stages, ...sizes].map(pad).join(''))
  }
  say('')
  for (const line of verdicts(found, restic)) say(line)
}

const size1 = (one: Round): number => one.size1
const added = (one: Round): number => one.size2 - one.size1
const restored = (one: Round): number => one.restoredMib

function verdicts(found: Rounds, restic: string): string[] {
  const ours = found.get(OURS) ?? []
  const theirs = found.get(restic) ?? []
  const others = [...found].filter(([name]) => name !== OURS).map(([, rounds]) => rounds)
  /** Of each round, since the load of the machine changes from one to the next. */
  const ratio = (value: (one: Round) => number, other: (round: number) => number): number =>
    median(ours.map((one, round) => value(one) / other(round)))
  const toRestic = (value: (one: Round) => number): number =>
    ratio(value, round => value(theirs[round] as Round))
  const toBest = (value: (one: Round) => number): number =>
    ratio(value, round => Math.min(...others.map(rounds => value(rounds[round] as Round))))
  const toBestRestore = (value: (one: Round) => number): number =>
    ratio(value, round => Math.min(...others.map(rounds => (rounds[round] as Round).restore.wallS)))
  const worst = (value: (one: NonNullable<Round['ours']>) => number): number =>
    Math.max(...ours.map(one => (one.ours === undefined ? Number.NaN : value(one.ours))))
  return [
    verdict(
      `night 1, CPU against ${restic}`,
      toRestic(one => one.night1.cpuS),
      'at most',
      0.6,
    ),
    verdict(`night 1, times as fast as ${restic}`, 1 / toRestic(one => one.night1.wallS), 'at least', 1.7),
    verdict(`repository after night 1 against ${restic}`, toRestic(size1), 'at most', 1.04),
    verdict(
      `night 2, CPU against ${restic}`,
      toRestic(one => one.night2.cpuS),
      'at most',
      0.42,
    ),
    verdict('night 2, times as fast as the best', 1 / toBest(one => one.night2.wallS), 'at least', 2.2),
    verdict(`bytes added by night 2 against ${restic}`, toRestic(added), 'at most', 0.6),
    verdict(
      'restore, time against the best',
      toBest(one => one.restore.wallS),
      'at most',
      1,
    ),
    verdict(
      'the same without the check before it',
      toBestRestore(one => one.ours?.uncheckedS ?? Number.NaN),
      'at most',
      1,
    ),
    verdict('restored image, MiB on the disk', of(ours, restored), 'at most', 3100),
    verdict(
      'peak memory of the worker, MiB',
      worst(one => one.workerPeakMib),
      'at most',
      200,
    ),
    verdict(
      "agent's loop delay, p99 in ms",
      worst(one => one.loopP99Ms),
      'at most',
      15,
    ),
    verdict(
      'its longest, which no answer to the controller exceeds by much',
      worst(one => one.loopLongestMs),
      'at most',
      100,
    ),
  ]
}

export function verdict(what: string, value: number, side: 'at most' | 'at least', aim: number): string {
  const holds = side === 'at most' ? value <= aim : value >= aim
  return `${holds ? 'yes' : 'NO '}  ${what}: ${value.toFixed(2)} (${side} ${aim})`
}

function of(rounds: readonly Round[], value: (one: Round) => number): number {
  return median(rounds.map(value))
}

function pad(text: string): string {
  return text.padEnd(23)
}
