import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { defaultControllerConfig, readControllerConfig } from '../../../controller/config.ts'

function read(text: string) {
  const dir = mkdtempSync(join(tmpdir(), 'lifeboat-config-'))
  try {
    writeFileSync(join(dir, 'c.toml'), text)
    return readControllerConfig(join(dir, 'c.toml'))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

test('nothing said is all defaults, and units become milliseconds', () => {
  assert.deepEqual(read(''), defaultControllerConfig())
  const config = read('[evacuation]\nhold_s = 5\ngrace_h = 0.5\n[placement]\nmax_vms_per_blade = 6\n')
  assert.deepEqual([config.evacuation.holdMs, config.evacuation.graceMs], [5000, 1_800_000])
  assert.equal(config.placement.maxVmsPerBlade, 6)
})

test('every problem is told at once, by the names of the file', () => {
  assert.throws(
    () =>
      read(
        '[listen]\ngrpc = "nowhere"\nport = 1\n[evacuation]\nmirror_degraded = "panic"\n[alerts]\nwebhook = "ftp://x"\n',
      ),
    (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'bad-config')
      const text = error.details.join('\n')
      for (const key of ['listen.grpc', 'listen.port', 'evacuation.mirror_degraded', 'alerts.webhook']) {
        assert.ok(text.includes(key), `${key} in ${text}`)
      }
      return true
    },
  )
})

test('limits that contradict each other are refused', () => {
  assert.throws(() => read('[liveness]\nreport_interval_s = 20\n'), /1 problem/)
})

test('backups: every problem of the section and of its VMs at once', () => {
  const text = `
[backup]
mode = "gently"
schedule = "at night"
keep_hourly = 3
[backup.boot_test]
sign = "smoke"
[[backup.vm]]
name = "db01"
schedule = "0 25 * * *"
`
  assert.throws(
    () => read(text),
    (error: { details: string[] }) => {
      const told = error.details.join('\n')
      for (const key of ['mode', 'schedule', 'keep_hourly', 'boot_test.sign', 'vm.0.schedule']) {
        assert.ok(told.includes(`backup.${key}`), `${key} in ${told}`)
      }
      return true
    },
  )
  assert.throws(() => read('[[backup.vm]]\nname = "a"\n[[backup.vm]]\nname = "a"\n'), {
    details: ["backup.vm.1.name: 'a' has a [[backup.vm]] already"],
  })
  assert.throws(
    () => read('[backup]\nkeep_last = 0\nkeep_daily = 0\nkeep_weekly = 0\nkeep_monthly = 0\n'),
    (error: { details: string[] }) => /something must be kept/.test(error.details.join()),
  )
})

const PLACEMENT = `
[placement]
vcpu_ratio = 6
snapshot_reserve_percent = 10
[[placement.rule]]
name = "mail"
kind = "apart"
vms = ["mx1", "mx2"]
across = "chassis"
hard = false
[[placement.rule]]
name = "shop"
kind = "together"
vms = ["shop", "shopdb"]
[[placement.vm]]
name = "db01"
priority = 10
blades = ["blade01", "blade09"]
evacuate = "ask"
[[placement.vm]]
name = "web01"
evacuate = { mirror-degraded = "stay", any = "live" }
`

test('placement: rules as they are written become plain data, also about names that nothing bears', () => {
  assert.deepEqual(read(PLACEMENT).placement, {
    maxVmsPerBlade: 4,
    rebalanceCooldownMs: 24 * 3_600_000,
    rules: {
      vcpuRatio: 6,
      snapshotReserve: 0.1,
      groups: [
        { name: 'mail', kind: 'apart', vms: ['mx1', 'mx2'], across: 'chassis', hard: false },
        { name: 'shop', kind: 'together', vms: ['shop', 'shopdb'], across: 'blade', hard: true },
      ],
      vms: [
        { vm: 'db01', priority: 10, blades: ['blade01', 'blade09'], evacuate: { any: 'ask' } },
        { vm: 'web01', priority: 0, blades: [], evacuate: { 'mirror-degraded': 'stay', any: 'live' } },
      ],
    },
  })
  const { rules } = defaultControllerConfig().placement
  assert.deepEqual([rules.vcpuRatio, rules.snapshotReserve], [8, 0.05])
})

test('placement: every problem at once; methods that are no policy yet are told with what is missing', () => {
  const text = `
[placement]
vcpu_ratio = -1
overcommit = 2
[[placement.rule]]
name = "a"
kind = "near"
vms = ["x"]
[[placement.vm]]
name = "db01"
blades = ["blade01", "blade01"]
evacuate = { flood = "stay", any = "warm" }
[[placement.vm]]
name = "db02"
evacuate = "cold"
[[placement.vm]]
name = "db03"
evacuate = "somehow"
`
  assert.deepEqual(problemsOf(text), [
    'placement.vcpu_ratio: must be >=0',
    'placement.rule.0.kind: must be one of "apart"|"together"',
    'placement.rule.0.vms: must have two names or more',
    'placement.vm.0.blades: must not have the same name twice',
    "placement.vm.0.evacuate.any: 'warm' cannot be carried out: nothing can copy a running VM by snapshots yet",
    'placement.vm.0.evacuate.flood: is no cause of an evacuation; those are any, asked, mirror-degraded, mirror-survivor-failing',
    "placement.vm.1.evacuate: 'cold' cannot be carried out: nothing yet stops a running VM, moves it and starts it again as one operation: between the steps its room could be taken and it would stay off; 'ask', then stop, migrate and start it by hand",
    'placement.vm.2.evacuate: must be one of live, stay, ask',
    'placement.overcommit is not a known key',
  ])
})

test('placement: rules that no placement could keep are refused, with the names', () => {
  const vm = (name: string, ...blades: string[]) =>
    `[[placement.vm]]\nname = "${name}"\nblades = ${JSON.stringify(blades)}\n`
  const rule = (name: string, kind: string, vms: string[], rest = '') =>
    `[[placement.rule]]\nname = "${name}"\nkind = "${kind}"\nvms = ${JSON.stringify(vms)}\n${rest}`
  const told = (...parts: string[]) => problemsOf(parts.join('\n'))
  assert.deepEqual(
    told(
      rule('r1', 'together', ['a', 'b']),
      rule('r2', 'together', ['b', 'c']),
      rule('r3', 'apart', ['c', 'a']),
    ),
    ["placement.rule.2: c and a must be apart here, and together by 'r1' and 'r2'"],
  )
  assert.deepEqual(told(rule('r1', 'together', ['a', 'b']), vm('a', 'blade01'), vm('b', 'blade02')), [
    'placement.rule.0: a and b must be together, but no blade is among the blades of each of them',
  ])
  assert.deepEqual(told(rule('r1', 'apart', ['a', 'b']), vm('a', 'blade01'), vm('b', 'blade01')), [
    'placement.rule.0: a and b must be apart, but together they may only be on blade01',
  ])
  assert.deepEqual(told(rule('r1', 'apart', ['a', 'b']), rule('r1', 'apart', ['c', 'd']), vm('a'), vm('a')), [
    "placement.rule.1: there is a rule named 'r1' already",
    "placement.vm.1: 'a' has its own rules already",
  ])
  assert.deepEqual(told(rule('r1', 'together', ['a', 'b'], 'across = "chassis"\n')), [
    "placement.rule.0.across: is for 'apart' only: 'together' is always one blade",
  ])
  // A wish may give way, so it contradicts nothing.
  const soft = 'hard = false\n'
  assert.deepEqual(told(rule('r1', 'together', ['a', 'b']), rule('r2', 'apart', ['a', 'b'], soft)), [])
})

function problemsOf(text: string): string[] {
  try {
    read(text)
    return []
  } catch (error) {
    return [...(error as { details: string[] }).details]
  }
}
