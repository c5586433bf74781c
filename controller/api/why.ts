import { formatDuration, utcStamp } from '../../shared/domain/units.ts'
import { whyNot } from '../placement/gate.ts'
import { planMove } from '../placement/make-plan.ts'
import { ruleWords } from '../placement/rule-words.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { requireBlade, requireVm } from './find.ts'
import { reasonsToWire, scoreToWire } from './plan-view.ts'

/** A month of decisions about one VM fits; more is in the log. */
const STORY_LINES = 200

/** Why a VM is where it is, and why it is not on a blade. Both decide anew on the fleet as it is now. */
export function whyHandlers(context: ApiContext): Pick<AdminHandlers, 'why' | 'whyNot'> {
  const { store, fleet, clock } = context
  return {
    why: ({ name }) => {
      const now = clock.now()
      const snapshot = fleet.snapshot(now)
      const vm = requireVm(snapshot, name)
      const plan = planMove(snapshot, {
        vmId: vm.id,
        id: '',
        cause: 'asked',
        now,
        limits: context.config.evacuation,
      })
      const story = store.stories
        .read('vm', vm.id, STORY_LINES)
        .map(line => `${utcStamp(line.at)} ${line.text}`)
      const seen = `now: ${vm.name} is ${vm.state} on ${vm.blade}, epoch ${vm.epoch}, seen ${formatDuration(now - vm.seenAt)} ago`
      return {
        vm: vm.name,
        blade: vm.blade,
        possible: plan.moves.length > 0,
        reasons: reasonsToWire(plan.unplaced.flatMap(each => each.reasons)),
        story: [
          ...(story.length === 0 ? [`Lifeboat has decided nothing about ${vm.name} yet`] : story),
          seen,
          ...ruleWords(snapshot.rules, vm.name).map(line => `wanted: ${line}`),
        ],
        scores: (plan.moves[0]?.scores ?? []).map(scoreToWire),
      }
    },
    whyNot: ({ vm: name, blade }) => {
      const snapshot = fleet.snapshot(clock.now())
      const vm = requireVm(snapshot, name)
      requireBlade(store, blade)
      const answer = whyNot(snapshot, vm.id, blade)
      return {
        vm: vm.name,
        blade,
        possible: answer.possible,
        reasons: reasonsToWire(answer.reasons),
        story: [],
        scores: answer.score === undefined ? [] : [scoreToWire(answer.score)],
      }
    },
  }
}
