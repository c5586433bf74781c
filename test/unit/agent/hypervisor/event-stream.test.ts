import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createEventStream } from '../../../../agent/hypervisor/event-stream.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { createScriptedRunner } from '../../../fakes/scripted-runner.ts'

const DEFINED = "2026-03-01 10:15:30.123+0000: event 'lifecycle' for domain 'web01': Defined Updated"
const PAUSED = "2026-03-01 10:15:30.123+0000: event 'lifecycle' for domain 'web01': Suspended Paused"
const CLOCK_DRIFT = "2026-03-01 10:15:30.123+0000: event 'rtc-change' for domain 'web01': -1"

function world() {
  const clock = createManualClock()
  const run = createScriptedRunner([])
  const events = createEventStream({
    run,
    argv: words => ['virsh', ...words],
    clock,
    log: silentLogger,
  })
  const program = (index: number) => {
    const found = run.followed[index]
    assert.ok(found, `program ${index}`)
    return found
  }
  return { clock, run, events, program }
}

describe('libvirt events', () => {
  it('nothing is believed before the stream stands, and then everybody is told to look', async () => {
    const { clock, run, events, program } = world()
    let changes = 0
    events.subscribe(() => {
      changes += 1
    })
    assert.equal(run.followed.length, 1)
    program(0).print('qemu:///system')
    await clock.advance(1999)
    assert.equal(events.mark(), undefined)
    assert.equal(changes, 0)
    await clock.advance(1)
    assert.notEqual(events.mark(), undefined)
    assert.equal(changes, 1)
  })

  it('a new definition makes what was read of that VM old, a block job too but without a call, a pause and noise do not', async () => {
    const { clock, events, program } = world()
    let changes = 0
    events.subscribe(() => {
      changes += 1
    })
    program(0).print('qemu:///system')
    await clock.advance(2000)
    const mark = events.mark()
    assert.ok(mark)
    program(0).print(CLOCK_DRIFT)
    assert.equal(changes, 1)
    program(0).print(PAUSED)
    assert.equal(changes, 2)
    assert.equal(events.changedSince(mark, 'web01'), false)
    program(0).print("event 'block-job' for domain 'db01': Block Copy for /dev/vg0/db01 completed")
    assert.equal(changes, 2)
    assert.equal(events.changedSince(mark, 'db01'), true)
    program(0).print(DEFINED)
    assert.equal(changes, 3)
    assert.equal(events.changedSince(mark, 'web01'), true)
    assert.equal(events.changedSince(mark, 'mail01'), false)
    const later = events.mark()
    assert.ok(later)
    assert.equal(events.changedSince(later, 'web01'), false)
  })

  it('libvirtd goes away: everything read is old, everybody is told, and the stream comes back', async () => {
    const { clock, run, events, program } = world()
    let changes = 0
    events.subscribe(() => {
      changes += 1
    })
    program(0).print('qemu:///system')
    await clock.advance(2000)
    const mark = events.mark()
    assert.ok(mark)
    program(0).end(1)
    await clock.advance(0)
    assert.equal(changes, 2)
    assert.equal(events.changedSince(mark, 'web01'), true)
    await clock.advance(1000)
    assert.equal(run.followed.length, 2)
    program(1).print('qemu:///system')
    await clock.advance(2000)
    assert.equal(changes, 3)
    assert.equal(events.changedSince(mark, 'web01'), true)
    assert.notEqual(events.mark(), undefined)
  })

  it('while libvirtd stays away the retries become rare', async () => {
    const { clock, run, events, program } = world()
    events.subscribe(() => {})
    const waits: number[] = []
    for (let attempt = 0; attempt < 8; attempt += 1) {
      program(attempt).end(1)
      const before = clock.now()
      await clock.advance(0)
      while (run.followed.length === attempt + 1) await clock.advance(500)
      waits.push(clock.now() - before)
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  })

  it('runs from the first watcher to the last', async () => {
    const { clock, run, events, program } = world()
    let changes = 0
    const count = () => {
      changes += 1
    }
    const stopFirst = events.subscribe(count)
    const stopSecond = events.subscribe(count)
    assert.equal(run.followed.length, 1)
    stopFirst()
    assert.equal(program(0).stopped, false)
    stopSecond()
    assert.equal(program(0).stopped, true)
    program(0).print(DEFINED)
    await clock.advance(60_000)
    assert.equal(changes, 0)
    assert.equal(run.followed.length, 1)
    events.subscribe(count)
    assert.equal(run.followed.length, 2)
  })
})
