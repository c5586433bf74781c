import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as z from 'zod'
import { issueWords } from '../../../shared/issue-words.ts'

const SCHEMA = z.strictObject({
  vms: z.array(z.string()),
  blade: z.string(),
  seconds: z.number().min(1),
  state: z.enum(['running', 'stopped']),
  event: z.discriminatedUnion('what', [
    z.strictObject({ what: z.literal('lost') }),
    z.strictObject({ what: z.literal('back') }),
  ]),
  pool: z.string().refine(() => false, 'has no pool of that name'),
})

test('what the schema library finds is told without its own words', () => {
  const found = SCHEMA.safeParse({
    blade: 7,
    seconds: 0,
    state: 'runing',
    event: { what: 'boom' },
    pool: 'vg9',
  })
  const told = found.error?.issues.map(issue => `${issue.path.join('.')}: ${issueWords(issue.message)}`)
  assert.deepEqual(told, [
    'vms: is missing',
    'blade: must be a string, not a number',
    'seconds: must be >=1',
    'state: must be one of "running"|"stopped"',
    "event.what: must be one of 'lost' | 'back'",
    'pool: has no pool of that name',
  ])
})
