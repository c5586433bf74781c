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
