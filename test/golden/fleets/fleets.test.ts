import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { renderTimeline } from '../../../controller/cli/simulate-text.ts'
import { simulateTimeline } from '../../../controller/simulate/simulate.ts'

/** `<situation>.json`: a fleet file (controller/simulate/README.md) whose story is told in one sentence. */
const FOLDER = import.meta.dirname
// UPDATE_GOLDEN=1 writes the timelines anew; the difference is then read like any other change of behaviour.
const UPDATE = process.env.UPDATE_GOLDEN === '1'

const files = readdirSync(FOLDER).filter(file => file.endsWith('.json'))

test('there are a dozen situations to play, each with a story of its own', () => {
  const stories = files.map(
    file => (JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as { story: string }).story,
  )
  assert.ok(files.length >= 12)
  assert.equal(new Set(stories).size, files.length)
})

for (const file of files) {
  const text = readFileSync(join(FOLDER, file), 'utf8')
  const { story } = JSON.parse(text) as { story: string }
  test(`${file.replace('.json', '')}: ${story}`, async () => {
    const answer = await simulateTimeline({ text, format: 'lifeboat' })
    const golden = join(FOLDER, file.replace('.json', '.expect.txt'))
    const played = `${renderTimeline(answer)}\n\n${answer.allPlaced ? 'All are placed.' : 'Not all are placed.'}\n`
    if (UPDATE) writeFileSync(golden, played)
    assert.equal(played, readFileSync(golden, 'utf8'))
  })
}
