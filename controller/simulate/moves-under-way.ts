import type { Plan, PlannedMove } from '../placement/plan.ts'
import type { World } from './world.ts'

export interface EndedMove {
  readonly move: PlannedMove
  /** Why the VM stays where it is; empty: it has moved. */
  readonly failure: string
}

/** The moves of all plans: each ends when its plan says, unless an end of it dies, or what it waited for failed. */
export interface MovesUnderWay {
  start(plan: Plan, now: number): void
  /** Those that have ended by now, in order. */
  end(now: number): EndedMove[]
  /** Blades that are being emptied. */
  active(): ReadonlySet<string>
  /** When the next one ends, if nothing happens before; Infinity: none is under way. */
  nextEnd(): number
}

interface UnderWay {
  readonly blade: string
  readonly endsAt: number
  readonly move: PlannedMove
  /** Of its plan: VMs whose moves failed. */
  readonly failed: Set<string>
}

export function createMovesUnderWay(world: World): MovesUnderWay {
  let moves: UnderWay[] = []

  const failureOf = ({ move, failed }: UnderWay): string => {
    const gone = [move.from, move.to].find(name => !world.isAlive(name))
    if (gone !== undefined) return `${gone} is gone`
    return move.needs.some(id => failed.has(id)) ? 'the room it needs was not made' : ''
  }

  return {
    start: (plan, now) => {
      const failed = new Set<string>()
      for (const move of plan.moves) {
        world.begin(move, plan.id)
        moves.push({ blade: plan.blade, endsAt: now + move.expectedEndMs, move, failed })
      }
      moves = moves.toSorted((a, b) => a.endsAt - b.endsAt)
    },
    end: now => {
      const ended: EndedMove[] = []
      // A move that fails may end others, so each is looked at when its turn comes.
      moves = moves.filter(each => {
        const failure = failureOf(each)
        if (failure === '' && each.endsAt > now) return true
        const isDone = failure === '' && world.arrive(each.move)
        if (!isDone) {
          each.failed.add(each.move.vmId)
          world.giveUp(each.move)
        }
        ended.push({ move: each.move, failure: isDone ? '' : failure || 'it is not there any more' })
        return false
      })
      return ended
    },
    active: () => new Set(moves.map(each => each.blade)),
    nextEnd: () => moves[0]?.endsAt ?? Number.POSITIVE_INFINITY,
  }
}
