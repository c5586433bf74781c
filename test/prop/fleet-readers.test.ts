import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { FleetSnapshot } from '../../controller/fleet/snapshot.ts'
import { roomsOf, usableMemoryBytes, usedMemoryBytes } from '../../controller/placement/room.ts'
import { readFleet } from '../../controller/simulate/fleet-file.ts'
import { readGaneti } from '../../controller/simulate/ganeti-text.ts'
import { playScenario } from '../../controller/simulate/timeline.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { makeCluster } from '../bench/placement-clusters.ts'
import { toGanetiText } from '../bench/placement-ganeti.ts'

const SEED = Number(process.env.FC_SEED ?? 20_261_128)
console.log(`fleet readers: seed ${SEED}`)

function check<Values>(property: fc.IProperty<Values>, numRuns = 1000): void {
  fc.assert(property, { seed: SEED, numRuns })
}

const NIGHT_FILE = readFileSync(
  join(import.meta.dirname, '../golden/fleets/mirror-fails-at-night.json'),
  'utf8',
)
const CLUSTER = toGanetiText(makeCluster({ blades: 4, utilisation: 0.8, diskUtilisation: 0.8 }, 1))

/** What a reader gives back is a fleet that can be planned for, or one error that lists what is wrong. */
function readsOrRefuses(read: () => FleetSnapshot): 'read' | 'refused' {
  let fleet: FleetSnapshot
  try {
    fleet = read()
  } catch (error) {
    assert.ok(error instanceof LifeboatError, `threw ${error instanceof Error ? error.stack : error}`)
    assert.equal(error.code, 'bad-input')
    assert.ok(error.details.length > 0)
    for (const line of error.details) assert.match(line, /^.+: .+/s)
    return 'refused'
  }
  assertSound(fleet)
  return 'read'
}

function assertSound(fleet: FleetSnapshot): void {
  const blades = new Map(fleet.blades.map(blade => [blade.name, blade]))
  assert.equal(blades.size, fleet.blades.length)
  assert.equal(new Set(fleet.vms.map(vm => vm.name)).size, fleet.vms.length)
  const isSize = (value: number) => Number.isSafeInteger(value) && value >= 0
  for (const vm of fleet.vms) {
    assert.ok(blades.has(vm.blade))
    assert.ok(isSize(vm.memoryBytes))
    for (const volume of vm.volumes)
      assert.ok(isSize(volume.sizeBytes) && volume.allocatedBytes <= volume.sizeBytes)
  }
  for (const room of roomsOf(fleet).values()) {
    if (room.blade.capacity === undefined) continue
    assert.ok(
      usedMemoryBytes(room) <= usableMemoryBytes(room),
      `${room.blade.name} has more in use than it has`,
    )
    for (const pool of room.pools) {
      assert.ok(isSize(pool.freeBytes) && isSize(pool.reclaimableBytes))
      assert.ok(pool.freeBytes + pool.reclaimableBytes <= pool.sizeBytes + 1)
    }
  }
}

/** Text with some of it taken out, doubled or replaced. */
function damaged(text: string, replacements: readonly string[]): fc.Arbitrary<string> {
  const one = fc.record({
    at: fc.nat({ max: text.length }),
    length: fc.oneof(fc.constant(0), fc.nat({ max: 12 }), fc.nat({ max: text.length })),
    by: fc.oneof(fc.constantFrom(...replacements), fc.string({ maxLength: 5 })),
  })
  return fc
    .array(one, { minLength: 1, maxLength: 3 })
    .map(edits =>
      edits.reduce((so, { at, length, by }) => so.slice(0, at) + by + so.slice(at + length), text),
    )
}

test('any text is a cluster, or is refused with the lines that are wrong', () => {
  check(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 400 }),
      text => void readsOrRefuses(() => readGaneti(text)),
    ),
  )
})

test('a cluster with a few letters changed is still one that makes sense, or is refused', () => {
  const seen = { read: 0, refused: 0 }
  check(
    fc.property(damaged(CLUSTER, ['|', '\n', '\n\n', '-1', '?', '1e9', '1000000000000', 'Y', '']), text => {
      seen[readsOrRefuses(() => readGaneti(text))]++
    }),
    2000,
  )
  assert.ok(seen.read > 0 && seen.refused > 0, JSON.stringify(seen))
})

test('every field of a cluster may hold anything', () => {
  const lines = CLUSTER.split('\n')
  const field = fc.oneof(
    fc.constantFrom('', '-5', '?', 'NaN', '0x10', '9'.repeat(30), '1.5', 'Y'),
    fc.string(),
  )
  check(
    fc.property(fc.nat({ max: lines.length - 1 }), fc.nat({ max: 15 }), field, (line, at, text) => {
      const fields = (lines[line] ?? '').split('|')
      fields[at] = text
      const changed = lines.with(line, fields.join('|')).join('\n')
      readsOrRefuses(() => readGaneti(changed))
    }),
  )
})

test('any text is a fleet file, or is refused', () => {
  check(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 400 }),
      text => void readsOrRefuses(() => readFleet(text).fleet),
    ),
  )
})

test('any JSON is a fleet file, or is refused with the paths that are wrong', () => {
  check(fc.property(fc.json({ maxDepth: 5 }), text => void readsOrRefuses(() => readFleet(text).fleet)))
})

test('a fleet file with a few letters changed is still one that makes sense, or is refused', () => {
  const seen = { read: 0, refused: 0 }
  check(
    fc.property(damaged(NIGHT_FILE, ['"', '{', '}', ',', '-1', '1e6', '1e999', 'null', '[]', '']), text => {
      seen[readsOrRefuses(() => readFleet(text).fleet)]++
    }),
  )
  assert.ok(seen.read > 0 && seen.refused > 0, JSON.stringify(seen))
})

test('every value of a fleet file may be anything', () => {
  const paths = pathsOf(JSON.parse(NIGHT_FILE))
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<fc.JsonValue>(-1, 1e6, 1e300, '', '\u0000', 'blade01', '__proto__', { __proto__: null }),
  )
  check(
    fc.property(fc.constantFrom(...paths), value, (path, put) => {
      const file = JSON.parse(NIGHT_FILE)
      setAt(file, path, put)
      readsOrRefuses(() => readFleet(JSON.stringify(file)).fleet)
    }),
  )
})

test('whatever is read can be played to its end, and planned for', () => {
  let played = 0
  const paths = pathsOf(JSON.parse(NIGHT_FILE))
  const numbers = [0, 1, 2, 30, 31, 60, 64, 600]
  const words = [
    'blade01',
    'blade02',
    'stopped',
    'mirror-failing',
    'blade-dead',
    'blade-back',
    'cordoned',
    'evacuate',
  ]
  check(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...paths), fc.nat({ max: 7 })), { maxLength: 6 }),
      changes => {
        const file = JSON.parse(NIGHT_FILE)
        for (const [path, which] of changes) {
          const before = getAt(file, path)
          if (typeof before === 'number') setAt(file, path, numbers[which])
          if (typeof before === 'string' && !/name|format|story|startsAt/.test(String(path.at(-1)))) {
            setAt(file, path, words[which])
          }
        }
        const text = JSON.stringify(file)
        if (readsOrRefuses(() => readFleet(text).fleet) === 'refused') return
        played += 1
        const { entries, after } = playScenario(readFleet(text))
        const times = entries.map(entry => entry.atMs)
        assert.deepEqual(
          times,
          times.toSorted((a, b) => a - b),
        )
        assert.ok(after.length > 0)
      },
    ),
    500,
  )
  assert.ok(played > 20, `only ${played} of 500 could be read`)
})

type Path = readonly (string | number)[]

function pathsOf(value: unknown, at: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [at]
  const keys: (string | number)[] = Array.isArray(value) ? [...value.keys()] : Object.keys(value)
  const deeper = keys.flatMap(key => pathsOf((value as Record<string | number, unknown>)[key], [...at, key]))
  return at.length === 0 ? deeper : [at, ...deeper]
}

function getAt(value: unknown, path: Path): unknown {
  return path.reduce((so, key) => (so as Record<string | number, unknown> | undefined)?.[key], value)
}

/** Where the way there is gone by an earlier change, nothing is set. */
function setAt(value: unknown, path: Path, put: unknown): void {
  if (typeof value !== 'object' || value === null) return
  const [key = '', ...rest] = path
  const parent = value as Record<string | number, unknown>
  if (rest.length === 0) parent[key] = put
  else setAt(parent[key], rest, put)
}
