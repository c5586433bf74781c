import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Probe } from '../../../../agent/health/probe.ts'
import { startProbes } from '../../../../agent/health/probes.ts'
import type { Fact, MirrorFact, ProbeSubject } from '../../../../shared/domain/health.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createManualClock, type ManualClock } from '../../../fakes/manual-clock.ts'

const SOUND: MirrorFact = {
  kind: 'mirror',
  observedAt: 0,
  name: 'md0',
  expectedMembers: 2,
  members: [{ device: 'sda', state: 'in-sync', errors: 0 }],
  activity: 'idle',
  progressPercent: 0,
}

function scene(read: (now: number) => Promise<readonly Fact[]>, subject: ProbeSubject = 'mirror') {
  const clock: ManualClock = createManualClock()
  let changes = 0
  let reads = 0
  const probe: Probe = {
    subject,
    intervalMs: 3000,
    read: () => {
      reads += 1
      return read(clock.now())
    },
  }
  const running = startProbes({ probes: [probe], clock, log: silentLogger, onChange: () => (changes += 1) })
  return { clock, running, changes: () => changes, reads: () => reads }
}

describe('probes at their intervals', () => {
  it('report a change once, and neither a new reading of the same nor mere progress', async () => {
    let fact = SOUND
    const { clock, running, changes, reads } = scene(async now => [{ ...fact, observedAt: now }])
    await clock.advance(0)
    await running.firstRound
    assert.equal(changes(), 1)
    await clock.advance(3000)
    fact = { ...SOUND, progressPercent: 12 }
    await clock.advance(3000)
    assert.deepEqual([reads(), changes()], [3, 1])
    fact = { ...SOUND, members: [{ device: 'sda', state: 'faulty', errors: 0 }] }
    await clock.advance(3000)
    assert.equal(changes(), 2)
    assert.equal(running.facts()[0]?.observedAt, clock.now())
    await running.close()
  })

  it('a probe that hangs is unreadable after its limit, and is not started a second time meanwhile', async () => {
    const stuck = Promise.withResolvers<readonly Fact[]>()
    const { clock, running, reads } = scene(() => stuck.promise)
    await clock.advance(1999)
    assert.deepEqual(running.facts(), [])
    await clock.advance(1)
    await running.firstRound
    const [fact] = running.facts()
    assert.ok(fact?.kind === 'unreadable')
    assert.equal(fact.error, 'reading mirror did not end within 2000 ms')
    await clock.advance(60_000)
    assert.equal(reads(), 1)
    stuck.resolve([SOUND])
    await clock.advance(3000)
    assert.equal(running.facts()[0]?.kind, 'mirror')
    await clock.advance(3000)
    assert.ok(reads() > 1)
    await running.close()
  })

  it('a BMC has more time than sysfs', async () => {
    const { clock, running } = scene(() => new Promise(() => {}), 'power')
    await clock.advance(14_999)
    assert.deepEqual(running.facts(), [])
    await clock.advance(1)
    assert.equal(running.facts()[0]?.kind, 'unreadable')
    await running.close()
  })

  it('a probe that throws against its promise is unreadable too', async () => {
    const { clock, running } = scene(async () => {
      throw new Error('a defect')
    })
    await clock.advance(0)
    const [fact] = running.facts()
    assert.ok(fact?.kind === 'unreadable' && fact.error === 'a defect')
    await running.close()
  })

  it('closing ends a wait and a hanging reading at once, and nothing is reported after it', async () => {
    const { clock, running, changes } = scene(() => new Promise(() => {}))
    await running.close()
    await clock.advance(60_000)
    assert.equal(changes(), 0)
  })
})
