import type { Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { type Lab, openLab } from '../lab/lab.ts'
import type { HandMove } from '../lab/stories/support/by-hand.ts'
import {
  assertSameMoves,
  byHandAndBack,
  compare,
  describeComparison,
  finishedEvacuation,
  movesOfPlan,
} from '../lab/stories/support/comparison.ts'
import { calm, place } from '../lab/stories/support/fleet.ts'

const LIMIT = 1.25
const HOME = { mail01: 'blade01', web01: 'blade01', db01: 'blade01', dns01: 'blade01' }

/**
 * Several rounds of the comparison the lab's tests make once: the four VMs of blade01 leave it by hand and by Lifeboat.
 * Which is first alternates, so that a machine that gets slower or faster meanwhile favours neither.
 */
export async function compareEvacuations(rounds: number): Promise<void> {
  const lab = openLab()
  await lab.trustBladesMutually()
  const ratios: number[] = []
  for (let round = 1; round <= rounds; round++) {
    await goHome(lab)
    const moves = await movesOfPlan(lab, 'blade01')
    const handFirst = round % 2 === 1
    const early = handFirst ? await byHandAndBack(lab, moves) : undefined
    const whole = await byLifeboat(lab, moves)
    await goHome(lab)
    const result = compare(early ?? (await byHandAndBack(lab, moves)), whole)
    console.log(
      `round ${round}, ${handFirst ? 'by hand first' : 'Lifeboat first'}: ${describeComparison(result)}`,
    )
    ratios.push(result.ratio)
  }
  const middle = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? Number.NaN
  console.log(
    `median ratio ${middle.toFixed(2)}, required at most ${LIMIT} (${middle <= LIMIT ? 'met' : 'NOT met'})`,
  )
}

async function byLifeboat(lab: Lab, moves: readonly HandMove[]): Promise<Operation> {
  const begun = await lab.cliJson<Operation>(['evacuate', 'blade01', '--no-wait'])
  const { whole } = await finishedEvacuation(lab, begun.id)
  await assertSameMoves(lab, whole, moves)
  return whole
}

async function goHome(lab: Lab): Promise<void> {
  await calm(lab)
  await place(lab, { ...HOME, wiki01: 'blade02', print01: 'blade03' })
}
