import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { createBootTestNights } from '../../../../controller/backup/boot-test-nights.ts'
import { defaultControllerConfig } from '../../../../controller/config.ts'
import { EMPTY_OPERATION, type OperationRecord } from '../../../../controller/store/operations.ts'
import { openStore, type Store } from '../../../../controller/store/store.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../shared/domain/units.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { point } from '../../../fakes/backup-sketch.ts'
import { createManualClock, settle } from '../../../fakes/manual-clock.ts'

// Local time: by it the schedule goes.
const EVENING = new Date(2026, 10, 28, 20).getTime()
const FIVE = new Date(2026, 10, 29, 5).getTime()

let store: Store
let begun: string[]
let aborted: string[]
let unwilling: string | undefined
let vaultAnswers: Promise<void>
let nights: ReturnType<typeof createBootTestNights>

beforeEach(() => {
  store = openStore(':memory:')
  begun = []
  aborted = []
  unwilling = undefined
  vaultAnswers = Promise.resolve()
  store.vaults.add({ name: 'depot', address: 'depot:7423', addedAt: 1 })
  // The newest of app01 says it is, and is by a blade where app01 never was.
  store.points.replace('depot', [
    ...['app01', 'db01', 'web01'].map(name => point(name, 5)),
    point('app01', 1, { blade: 'blade09' }),
  ])
  for (const name of ['app01', 'db01', 'web01']) store.vms.seenOn(`id-${name}`, 'blade01', 1)
  nights = restarted()
})
afterEach(() => store.close())

/** The same database, another life of the controller. */
function restarted(perNight = 2) {
  return createBootTestNights({
    store,
    restores: {
      bootTest: async ({ vm, point: name, heldBack }): Promise<OperationRecord> => {
        await vaultAnswers
        const why = heldBack?.() ?? ''
        if (why !== '') throw new LifeboatError('refused', why)
        if (vm === unwilling) throw new LifeboatError('refused', 'it finds no place on any blade')
        const id = `o${begun.length + 1}`
        begun.push(vm)
        const operation = {
          ...EMPTY_OPERATION,
          id,
          kind: 'boot-test' as const,
          vmId: vm,
          point: name,
          startedAt: FIVE + 1,
        }
        store.operations.add(operation)
        return operation
      },
    },
    operations: { abort: id => aborted.push(id) },
    config: { ...defaultControllerConfig().backup.bootTest, perNight },
    clock: createManualClock(FIVE),
    log: silentLogger,
  })
}
const end = () => {
  for (const { id } of store.operations.active())
    store.operations.update(id, { state: 'done', endedAt: FIVE + 2 })
}
const pass = async (now: number, heldBack = '') => {
  nights.pass(now, () => heldBack)
  await settle()
}

test('as many a night as are set, one after the other, each of another VM; a restart goes on with what is left', async () => {
  await pass(EVENING)
  assert.deepEqual(begun, [], 'a new installation waits for its first night')
  await pass(FIVE)
  await pass(FIVE + 1000)
  assert.deepEqual(begun, ['id-app01'], 'one at a time')
  assert.equal(store.operations.get('o1')?.point, point('app01', 5).point, 'of a blade where it was')
  end()
  nights = restarted()
  await pass(FIVE + 2000)
  assert.deepEqual(begun, ['id-app01', 'id-db01'])
  end()
  await pass(FIVE + 3000)
  assert.equal(begun.length, 2, 'the night is over')
  await pass(FIVE + 24 * HOUR_MS)
  assert.equal(begun[2], 'id-web01', 'the next night begins with the one that was never tried')
})

test('while something holds it back it waits, and the morning ends the night', async () => {
  await pass(EVENING)
  await pass(FIVE, 'blade01 is being emptied')
  assert.deepEqual(begun, [])
  await pass(FIVE + 30 * MINUTE_MS)
  assert.equal(begun.length, 1)
  end()
  await pass(FIVE + 5 * HOUR_MS)
  assert.equal(begun.length, 1, 'by day the room belongs to people')
})

test('one for which automation was paused while it waited for the vault does not begin, and has its turn later', async () => {
  await pass(EVENING)
  const { promise, resolve } = Promise.withResolvers<void>()
  vaultAnswers = promise
  let why = ''
  nights.pass(FIVE, () => why)
  why = 'automation is paused'
  resolve()
  await nights.idle()
  assert.deepEqual(begun, [])
  assert.deepEqual(store.stories.read('vm', 'id-app01', 5), [])
  await pass(FIVE + MINUTE_MS)
  assert.deepEqual(begun, ['id-app01'])
})

test('a controller that was off through the night begins none at noon', async () => {
  await pass(EVENING)
  nights = restarted()
  await pass(FIVE + 7 * HOUR_MS)
  assert.deepEqual(begun, [])
})

test('one that cannot begin is told with its VM, and the next one has its turn', async () => {
  await pass(EVENING)
  unwilling = 'id-app01'
  await pass(FIVE)
  const [line] = store.stories.read('vm', 'id-app01', 5)
  assert.match(line?.text ?? '', /boot test of app01 .* cannot begin: it finds no place on any blade/)
  for (const second of [1, 2, 3]) {
    await pass(FIVE + second * 1000)
    end()
  }
  assert.deepEqual(begun, ['id-db01', 'id-web01'])
})

test('an evacuation aborts what is under way, once', async () => {
  await pass(EVENING)
  await pass(FIVE)
  nights.standAside()
  nights.standAside()
  assert.deepEqual(aborted, ['o1'])
})

test('none are made when none are wanted', async () => {
  nights = restarted(0)
  await pass(EVENING)
  await pass(FIVE)
  assert.deepEqual(begun, [])
})
