import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startSchedule } from '../../../../agent/backup/schedule.ts'
import type { BackupSettings } from '../../../../agent/backup/settings.ts'
import { createBackupStore } from '../../../../agent/store/backup-store.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { HOUR_MS, MINUTE_MS } from '../../../../shared/domain/units.ts'
import { silentLogger } from '../../../../shared/log.ts'
import type { Json } from '../../../../shared/saga/definition.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'

const SETTINGS: BackupSettings = {
  vault: { name: 'depot', address: 'depot:7424' },
  schedule: '0 2 * * *',
  jitterMs: 0,
  mode: 'pause',
  pauseBudgetMs: 5000,
  rateLimitBytes: 0,
  vms: [],
}
const EVENING = new Date(2026, 10, 9, 22).getTime()
const HOURS_TO_TWO = 4

function vm(number: number, name = `vm${number}`): Vm {
  return {
    id: `${number}0000000-0000-4000-8000-000000000000`,
    name,
    volumes: [{ target: 'vda' }],
    incoming: false,
  } as unknown as Vm
}

/** A blade with VMs whose backups take no time and end as `outcome` says. */
function createBlade(options: {
  vms?: Vm[]
  settings?: Partial<BackupSettings>
  outcome?: () => 'done' | 'failed' | 'works'
}) {
  const db = openDatabase(':memory:', AGENT_MIGRATIONS)
  const store = createBackupStore(db)
  store.putSettings({ ...SETTINGS, ...options.settings })
  const clock = createManualClock(EVENING)
  const begun: { id: string; name: string; at: number }[] = []
  const held = new Set<string>()
  const world = { vms: options.vms ?? [vm(1), vm(2)], working: false }
  const boot = () =>
    startSchedule({
      store,
      vms: () => world.vms,
      isHeld: id => held.has(id),
      isWorking: () => world.working,
      start: (id, params) => {
        const { vmId, vmName } = params as { readonly [key: string]: Json } & { vmId: string; vmName: string }
        begun.push({ id, name: vmName, at: clock.now() })
        const outcome = options.outcome?.() ?? 'done'
        if (outcome === 'works') world.working = true
        else if (outcome === 'done') {
          store.record({ vmId, endedAt: clock.now(), point: 'p', at: clock.now(), error: '' })
        } else store.record({ vmId, endedAt: clock.now(), point: '', at: 0, error: 'vault full' })
      },
      clock,
      log: silentLogger,
    })
  return { store, clock, begun, held, world, boot }
}

const names = (begun: readonly { name: string }[]) => begun.map(({ name }) => name)

test('a night: nothing before the hour, each VM once after it, and again the next night', async () => {
  const { clock, begun, boot } = createBlade({})
  const loop = boot()
  await clock.advance(HOURS_TO_TWO * HOUR_MS - MINUTE_MS)
  assert.deepEqual(names(begun), [])
  await clock.advance(HOUR_MS)
  assert.deepEqual(names(begun).sort(), ['vm1', 'vm2'])
  await clock.advance(22 * HOUR_MS)
  assert.equal(begun.length, 2)
  await clock.advance(2 * HOUR_MS)
  assert.deepEqual(names(begun).sort(), ['vm1', 'vm1', 'vm2', 'vm2'])
  assert.match(begun[0]?.id ?? '', /^b-\d{8}T\d{6}Z-[12]0000000$/)
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('one at a time: while one works no other begins', async () => {
  const { clock, begun, world, boot } = createBlade({ outcome: () => 'works' })
  const loop = boot()
  await clock.advance((HOURS_TO_TWO + 3) * HOUR_MS)
  assert.equal(begun.length, 1)
  world.working = false
  await clock.advance(MINUTE_MS)
  assert.equal(begun.length, 2)
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('an agent that was off for nights catches up the last one, once, as soon as it is there', async () => {
  const { clock, begun, store, boot } = createBlade({ vms: [vm(1)] })
  store.meet(vm(1).id, EVENING)
  await clock.advance(60 * HOUR_MS)
  const loop = boot()
  await clock.advance(MINUTE_MS)
  assert.equal(begun.length, 1)
  await clock.advance(5 * HOUR_MS)
  assert.equal(begun.length, 1)
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('a vault that refuses all night is asked a few times, not hundreds of times', async () => {
  const { clock, begun, boot } = createBlade({ vms: [vm(1)], outcome: () => 'failed' })
  const loop = boot()
  await clock.advance((HOURS_TO_TWO + 8) * HOUR_MS)
  assert.ok(begun.length >= 4 && begun.length <= 6, `${begun.length} attempts in 8 hours`)
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('off means never; a boot test, a VM that arrives and one in a move are left alone', async () => {
  const vms = [vm(1), vm(2), vm(3, 'lifeboat-test-1a2b3c4d'), { ...vm(4), incoming: true }]
  const { clock, begun, held, boot } = createBlade({
    vms,
    settings: { vms: [{ vmId: vm(1).id, schedule: '', mode: 'off' }] },
  })
  held.add(vm(2).id)
  const loop = boot()
  await clock.advance((HOURS_TO_TWO + 1) * HOUR_MS)
  assert.deepEqual(names(begun), [])
  held.clear()
  await clock.advance(MINUTE_MS)
  assert.deepEqual(names(begun), ['vm2'])
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('a schedule of its own comes before the default', async () => {
  const { clock, begun, boot } = createBlade({
    settings: { vms: [{ vmId: vm(2).id, schedule: '30 23 * * *', mode: '' }] },
  })
  const loop = boot()
  await clock.advance(2 * HOUR_MS)
  assert.deepEqual(names(begun), ['vm2'])
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('without a vault nothing begins, and a vault set in the afternoon does not start all at once', async () => {
  const { clock, begun, store, boot } = createBlade({ settings: { vault: undefined } })
  const loop = boot()
  await clock.advance(16 * HOUR_MS)
  assert.deepEqual(begun, [])
  store.putSettings(SETTINGS)
  await clock.advance(HOUR_MS)
  assert.deepEqual(begun, [])
  await clock.advance(12 * HOUR_MS)
  assert.equal(begun.length, 2)
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})

test('a VM that went and comes back is met anew', async () => {
  const { clock, begun, world, store, boot } = createBlade({ vms: [vm(1)] })
  const loop = boot()
  await clock.advance(MINUTE_MS)
  world.vms = []
  await clock.advance(20 * HOUR_MS)
  assert.equal(store.history(vm(1).id), undefined)
  world.vms = [vm(1)]
  await clock.advance(HOUR_MS)
  assert.deepEqual(begun, [])
  await Promise.all([loop.stop(), clock.advance(MINUTE_MS)])
})
