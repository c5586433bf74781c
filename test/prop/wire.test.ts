import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Report } from '../../proto/gen/lifeboat/v1/intake.ts'
import { Command } from '../../proto/gen/lifeboat/v1/types.ts'
import {
  type BladeReport,
  type Capacity,
  STORAGE_KINDS,
  VM_STATES,
  type Vm,
} from '../../shared/domain/fleet.ts'
import type { Fact } from '../../shared/domain/health.ts'
import type { CommandRecord } from '../../shared/domain/operation.ts'
import { REASON_CODES, type Reason } from '../../shared/domain/reason.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { commandToWire, reportFromWire, reportToWire } from '../../shared/wire/convert.ts'

const SEED = 20_260_801
const RUNS = { seed: SEED, numRuns: 300 }

const word = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' })
const words = fc.array(word, { maxLength: 3 })
const whole = fc.maxSafeNat()
const int32 = fc.nat({ max: 2 ** 31 - 1 })
const keyOf = <Key extends string>(record: Readonly<Record<Key, string>>) =>
  fc.constantFrom(...(Object.keys(record) as Key[]))

const reason: fc.Arbitrary<Reason> = fc
  .tuple(
    keyOf(REASON_CODES),
    word,
    fc.option(word, { nil: undefined }),
    fc.option(fc.tuple(whole, whole), { nil: undefined }),
  )
  .map(([code, text, blade, numbers]) => ({
    code,
    text,
    ...(blade === undefined ? {} : { blade }),
    // Two zeros say nothing, and the wire cannot tell them from nothing.
    ...(numbers === undefined || numbers.every(value => value === 0)
      ? {}
      : { needed: numbers[0], available: numbers[1] }),
  }))

const volume = fc.record({
  target: word,
  path: word,
  storage: keyOf(STORAGE_KINDS),
  pool: fc.string(),
  sizeBytes: whole,
  allocatedBytes: whole,
  format: fc.constantFrom('raw' as const, 'qcow2' as const),
})

const vm: fc.Arbitrary<Vm> = fc.record({
  id: fc.uuid(),
  name: word,
  state: keyOf(VM_STATES),
  memoryBytes: whole,
  vcpus: int32,
  volumes: fc.array(volume, { maxLength: 3 }),
  networks: words,
  obstacles: fc.array(reason, { maxLength: 3 }),
  epoch: whole,
  machine: fc.string(),
  cpuModel: fc.string(),
  persistent: fc.boolean(),
  incoming: fc.boolean(),
})

const fact: fc.Arbitrary<Fact> = fc.oneof(
  fc.record({
    kind: fc.constant('mirror' as const),
    observedAt: whole,
    name: word,
    expectedMembers: int32,
    members: fc.array(
      fc.record({
        device: fc.string(),
        state: fc.constantFrom('in-sync', 'faulty', 'missing', 'rebuilding', 'spare'),
        errors: whole,
      }),
      { maxLength: 3 },
    ),
    activity: word,
    progressPercent: fc.double({ min: 0, max: 100, noNaN: true }).map(value => value + 0),
  }),
  fc.record({
    kind: fc.constant('bond' as const),
    observedAt: whole,
    name: word,
    mode: fc.string(),
    members: fc.array(
      fc.record({
        nic: word,
        link: fc.constantFrom('up' as const, 'down' as const),
        speedMbps: int32,
        partner: fc.constantFrom('ok' as const, 'short' as const, 'none' as const),
      }),
      { maxLength: 3 },
    ),
    activeMember: fc.string(),
  }),
  fc.record({
    kind: fc.constant('power' as const),
    observedAt: whole,
    supplies: fc.array(
      fc.record({
        name: word,
        state: fc.constantFrom('ok', 'failed', 'ac-lost', 'predictive-failure', 'absent'),
      }),
      { maxLength: 4 },
    ),
  }),
  fc.record({
    kind: fc.constant('unreadable' as const),
    observedAt: whole,
    of: fc.constantFrom('mirror' as const, 'bond' as const, 'power' as const),
    name: fc.string(),
    error: fc.string(),
  }),
)

const capacity: fc.Arbitrary<Capacity> = fc.record({
  memoryBytes: whole,
  reservedMemoryBytes: whole,
  cpus: int32,
  pools: fc.array(
    fc.record({
      name: word,
      storage: keyOf(STORAGE_KINDS),
      sizeBytes: whole,
      freeBytes: whole,
      reclaimableBytes: whole,
    }),
    { maxLength: 3 },
  ),
  networks: words,
  hypervisor: fc.string(),
  cpuModels: words,
})

const report: fc.Arbitrary<BladeReport> = fc.record({
  sequence: whole,
  observedAt: whole,
  facts: fc.array(fact, { maxLength: 4 }),
  vms: fc.array(vm, { maxLength: 4 }),
  capacity,
  complete: fc.boolean(),
})

const command: fc.Arbitrary<CommandRecord> = fc.record({
  argv: fc.array(fc.string(), { minLength: 1, maxLength: 4 }),
  exitCode: fc.integer({ min: -1, max: 255 }),
  startedAt: whole,
  durationMs: whole,
  stderrTail: fc.string({ unit: 'grapheme' }),
})

/** fast-check makes objects without a prototype now and then, which deepEqual would tell apart. */
function plain<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T
}

test('whatever an agent reports arrives as the same report', () => {
  fc.assert(
    fc.property(report, original => {
      const bytes = Report.encode(reportToWire(original)).finish()
      assert.deepEqual(plain(reportFromWire(Report.decode(bytes))), plain(original))
    }),
    RUNS,
  )
})

test('a command arrives as it was run', () => {
  fc.assert(
    fc.property(command, original => {
      const bytes = Command.encode(commandToWire(original, 'blade03')).finish()
      assert.deepEqual(plain(Command.decode(bytes)), plain({ ...original, blade: 'blade03' }))
    }),
    RUNS,
  )
})

test('whatever bytes come, reading them is a report or one bad-input that names the places', () => {
  fc.assert(
    fc.property(
      report,
      fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }),
      (original, damage) => {
        const bytes = Report.encode(reportToWire(original)).finish()
        for (const [place, value] of damage) if (bytes.length > 0) bytes[place % bytes.length] = value
        const message = decodeOrNothing(bytes)
        if (message === undefined) return
        try {
          reportFromWire(message)
        } catch (error) {
          assert.ok(error instanceof LifeboatError)
          assert.equal(error.code, 'bad-input')
          assert.ok(error.details.length > 0)
          for (const detail of error.details) assert.match(detail, /^report/)
        }
      },
    ),
    RUNS,
  )
})

/** Bytes that are no message at all are refused by the protobuf library before our code sees them. */
function decodeOrNothing(bytes: Uint8Array): Report | undefined {
  try {
    return Report.decode(bytes)
  } catch {
    return undefined
  }
}
