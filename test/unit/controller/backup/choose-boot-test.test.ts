import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BootTry, chooseBootTest } from '../../../../controller/backup/choose-boot-test.ts'
import { HOUR_MS } from '../../../../shared/domain/units.ts'
import { point } from '../../../fakes/backup-sketch.ts'
import { NIGHT } from '../../../fakes/fleet-builder.ts'

const POINTS = [point('app01', 5), point('app01', 29), point('db01', 5), point('web01', 5)]
const tried = (vm: string, hoursAgo: number): BootTry => ({
  vmId: `id-${vm}`,
  point: '',
  at: NIGHT - hoursAgo * HOUR_MS,
})
const choose = (tries: readonly BootTry[], points = POINTS) => {
  const chosen = chooseBootTest(points, tries, NIGHT)
  return chosen && `${chosen.vm} ${(NIGHT - chosen.at) / HOUR_MS}`
}

const CASES: readonly { name: string; tries: readonly BootTry[]; expect: string | undefined }[] = [
  { name: 'none was ever tried: by name, the newest point', tries: [], expect: 'app01 5' },
  {
    name: 'never tried goes before tried',
    tries: [tried('app01', 20), tried('db01', 200)],
    expect: 'web01 5',
  },
  {
    name: 'then the one whose try is longest ago',
    tries: [tried('app01', 20), tried('db01', 200), tried('web01', 100), tried('db01', 44)],
    expect: 'web01 5',
  },
  {
    name: 'one that was tried this night waits for another, whatever came of it',
    tries: [tried('app01', 0), tried('db01', 20), tried('web01', 44)],
    expect: 'web01 5',
  },
  {
    name: 'all were tried this night',
    tries: [tried('app01', 0), tried('db01', 0), tried('web01', 0)],
    expect: undefined,
  },
]

for (const { name, tries, expect } of CASES) test(name, () => assert.equal(choose(tries), expect))

test('only what is whole is tried', () => {
  const points = [
    point('app01', 5, { state: 'damaged' }),
    point('app01', 29),
    point('db01', 5, { state: 'unreadable' }),
  ]
  assert.equal(choose([], points), 'app01 29')
  assert.equal(choose([tried('app01', 0)], points), undefined)
})
