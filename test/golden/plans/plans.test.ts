import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { planEvacuation } from '../../../controller/placement/make-plan.ts'
import { type FleetSketch, fleet, NIGHT } from '../../fakes/fleet-builder.ts'
import { renderPlan } from './render.ts'

/** `<situation>.json`: a story in one sentence, the fleet (see test/fakes/fleet-builder.ts) and the blade to empty. */
interface Situation extends FleetSketch {
  readonly story: string
  readonly evacuate: string
}

const FOLDER = import.meta.dirname
// UPDATE_GOLDEN=1 writes the plans anew; the difference is then read like any other change of behaviour.
const UPDATE = process.env.UPDATE_GOLDEN === '1'

const files = readdirSync(FOLDER).filter(file => file.endsWith('.json'))

test('there are situations to plan for', () => {
  assert.ok(files.length >= 6)
})

for (const file of files) {
  const situation = JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Situation
  test(`${file.replace('.json', '')}: ${situation.story}`, () => {
    const plan = planEvacuation(fleet(situation), {
      bladeName: situation.evacuate,
      cause: 'lost leg1 of md0',
      now: NIGHT,
      id: 'p1',
    })
    const golden = join(FOLDER, file.replace('.json', '.expect.txt'))
    const text = renderPlan(plan)
    if (UPDATE) writeFileSync(golden, text)
    assert.equal(text, readFileSync(golden, 'utf8'))
  })
}
