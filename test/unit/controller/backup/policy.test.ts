import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentSettings } from '../../../../controller/backup/agent-settings.ts'
import { chooseVault, effectivePolicy } from '../../../../controller/backup/policy.ts'
import { namesForRetention, retentionPolicies } from '../../../../controller/backup/retention.ts'
import type { BackupConfig } from '../../../../controller/backup/settings.ts'
import { defaultControllerConfig } from '../../../../controller/config.ts'

const CONFIG: BackupConfig = {
  ...defaultControllerConfig().backup,
  vms: [{ name: 'db01', mode: 'pause', schedule: '0 */6 * * *', keep: { last: 8 } }],
}
const policy = (vm: string, tags: Record<string, string> = {}, vaults = ['depot']) =>
  effectivePolicy({ vm, tags, config: CONFIG, vaults })

test('the tag goes before the section of the VM, that before the defaults', () => {
  assert.deepEqual(
    [policy('web01'), policy('db01'), policy('db01', { backup: 'off' })].map(({ mode, schedule, keep }) => [
      mode,
      schedule,
      keep.last,
    ]),
    [
      ['freeze', '0 2 * * *', 3],
      ['pause', '0 */6 * * *', 8],
      ['off', '0 */6 * * *', 8],
    ],
  )
  assert.equal(policy('db01', { backup: 'nonsense' }).mode, 'pause', 'a word that is no mode is none')
})

test('it says where each value comes from and what it means', () => {
  assert.deepEqual(policy('db01', { backup: 'crash' }).explanation, [
    'mode crash, by the tag backup=crash: nothing is held still: for VMs that may not stand for a moment',
    'schedule 0 */6 * * *, by [[backup.vm]] of db01: by the clock of its blade, at a moment of its own within the 30 min after it',
    'kept: last 8, daily 7, weekly 4, monthly 6, by [[backup.vm]] of db01; the newest verified restore point is never dropped',
    'to the vault depot, the only one',
    'overdue when its newest restore point is older than 36 h',
  ])
})

test('without one clear vault there are no backups, and the reason says what to do', () => {
  const none = chooseVault('', [])
  assert.equal(none.name, '')
  assert.match(none.text, /lifeboat vault add/)
  assert.match(chooseVault('', ['a', 'b']).text, /there are 2 vaults \(a, b\)/)
  assert.match(chooseVault('c', ['a', 'b']).text, /c of the configuration has not joined/)
  assert.equal(chooseVault('b', ['a', 'b']).name, 'b')
})

test('an agent is told of its own VMs what differs from the default, and nothing else', () => {
  const settings = agentSettings({
    config: CONFIG,
    vms: [
      { id: 'id-web01', name: 'web01' },
      { id: 'id-db01', name: 'db01' },
      { id: 'id-app01', name: 'app01' },
    ],
    tags: new Map([
      ['id-app01', { backup: 'off' }],
      ['id-elsewhere', { backup: 'off' }],
    ]),
    vault: { name: 'depot', address: 'depot:7424' },
  })
  assert.deepEqual(settings.vms, [
    { vmId: 'id-app01', mode: 'off', schedule: '' },
    { vmId: 'id-db01', mode: 'pause', schedule: '0 */6 * * *' },
  ])
  assert.equal(settings.vault?.address, 'depot:7424')
})

test('the vault is told by id what a VM keeps of its own, also one that is gone', () => {
  const policies = retentionPolicies(CONFIG, [
    { id: 'id-old', name: 'db01', isHearsay: false },
    { id: 'id-new', name: 'db01', isHearsay: false },
    { id: 'id-web01', name: 'web01', isHearsay: false },
  ])
  assert.deepEqual(Object.keys(policies.byVmId), ['id-old', 'id-new'])
  assert.deepEqual(policies.byVmId['id-new'], { keepLast: 8, keepDaily: 7, keepWeekly: 4, keepMonthly: 6 })
})

test('whose retention a restore point gets is said by the fleet, then by blades where the VM was', () => {
  const bladesOf = (vmId: string) => new Set(vmId === 'id-lost' ? [] : ['blade01'])
  const point = (vmId: string, vm: string, blade: string, at: number) => ({ vmId, vm, blade, at })
  const names = namesForRetention(
    [{ id: 'id-web01', name: 'web01' }],
    [
      point('id-web01', 'scratch', 'blade01', 9),
      point('id-gone', 'db01', 'blade01', 2),
      point('id-gone', 'renamed', 'blade01', 1),
      point('id-gone', 'scratch', 'blade09', 9),
      point('id-lost', 'scratch', 'blade09', 1),
    ],
    bladesOf,
  )
  assert.deepEqual(
    names.map(({ id, name, isHearsay }) => `${id} ${name}${isHearsay ? ', says a stranger' : ''}`).sort(),
    ['id-gone db01', 'id-lost scratch, says a stranger', 'id-web01 web01'],
  )
})

test('a name that only a stranger gives can keep more than the default, never less', () => {
  const vms = (last: number) => [
    { name: 'scratch', mode: undefined, schedule: undefined, keep: { last, daily: 1 } },
  ]
  const kept = (last: number, isHearsay: boolean) =>
    retentionPolicies({ ...CONFIG, vms: vms(last) }, [{ id: 'a', name: 'scratch', isHearsay }]).byVmId.a
  assert.deepEqual(kept(1, false), { keepLast: 1, keepDaily: 1, keepWeekly: 4, keepMonthly: 6 })
  assert.deepEqual(kept(1, true), { keepLast: 3, keepDaily: 7, keepWeekly: 4, keepMonthly: 6 })
  assert.deepEqual(kept(30, true), { keepLast: 30, keepDaily: 7, keepWeekly: 4, keepMonthly: 6 })
  const everything = { ...CONFIG, keep: { last: 0, daily: 0, weekly: 0, monthly: 0 }, vms: vms(1) }
  const policies = retentionPolicies(everything, [{ id: 'a', name: 'scratch', isHearsay: true }])
  assert.deepEqual(policies.byVmId.a, { keepLast: 0, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 })
})
