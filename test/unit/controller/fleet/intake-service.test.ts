import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createFleetState } from '../../../../controller/fleet/fleet-state.ts'
import { createIntake } from '../../../../controller/fleet/intake-service.ts'
import { createSessions } from '../../../../controller/fleet/sessions.ts'
import type { Orders } from '../../../../controller/operations/orders.ts'
import { NO_RULES } from '../../../../controller/placement/rules.ts'
import { openStore } from '../../../../controller/store/store.ts'
import { type FromAgent, Hello } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { PROTOCOL_VERSION } from '../../../../shared/version.ts'
import { reportToWire } from '../../../../shared/wire/convert.ts'
import { soundCapacity, vm } from '../../../fakes/agent-reports.ts'

const PEER = { role: 'blade', name: 'blade01', fingerprint: 'f', address: '10.0.0.1:4711' } as const

test('what a replaced session of a blade still says does not overwrite what the new one has said', () => {
  const store = openStore(':memory:')
  store.blades.add({ name: 'blade01', chassis: '', slot: 0, feeds: [], switches: [], addedAt: 1 })
  store.blades.update('blade01', { joinedAt: 1 })
  const limits = {
    maxVmsPerBlade: 4,
    rules: NO_RULES,
    liveness: { suspectAfterMs: 1e9, silentAfterMs: 1e10 },
  }
  const quiet: Orders = {
    execute: () => assert.fail('no order is given here'),
    received: () => {},
    connected: () => {},
    close: () => {},
  }
  const intake = createIntake({
    store: { ...store, blades: { ...store.blades, hasCertificate: () => true } },
    fleet: createFleetState({ store, log: silentLogger, limits }),
    sessions: createSessions(silentLogger),
    orders: quiet,
    clock: { now: () => 1000, sleep: async () => {} },
    log: silentLogger,
    reportIntervalMs: 5000,
    settingsPush: { connected: () => {} },
    backupEnded: () => {},
    nudge: () => {},
  })
  const open = () => {
    const conversation = intake.open(PEER, { address: PEER.address, send: () => {}, end: () => {} })
    const value = Hello.fromPartial({ blade: 'blade01', protocol: PROTOCOL_VERSION })
    conversation.receive({ kind: { $case: 'hello', value } })
    return conversation
  }
  const report = (name: string, sequence: number): FromAgent => {
    const vms = [vm(name, sequence)]
    const parts = { sequence, observedAt: 1, facts: [], vms, capacity: soundCapacity(), complete: true }
    return { kind: { $case: 'report', value: reportToWire(parts) } }
  }
  const older = open()
  const newer = open()
  newer.receive(report('new', 1))
  older.receive(report('old', 2))
  assert.deepEqual(
    store.blades.get('blade01')?.report?.vms.map(each => each.name),
    ['new'],
  )
  store.close()
})
