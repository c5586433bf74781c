import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CapacityReport } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { runCli } from './fake-context.ts'

const GIB = 1024 ** 3
const report = CapacityReport.fromPartial({
  nowAt: 7_200_000,
  room: {
    blades: 3,
    bladesOpen: 2,
    vms: 5,
    maxVms: 8,
    memoryUsedBytes: 40 * GIB,
    memoryTotalBytes: 64 * GIB,
    pools: [
      {
        name: 'vg0',
        storage: 'thick',
        sizeBytes: 1000 * GIB,
        freeBytes: 500 * GIB,
        reclaimableBytes: 20 * GIB,
      },
      { name: '/srv/vms', storage: 'file', sizeBytes: 90 * GIB, freeBytes: 60 * GIB },
    ],
    roomiest: {
      blade: 'blade02',
      vms: 2,
      maxVms: 4,
      memoryUsedBytes: 12 * GIB,
      memoryTotalBytes: 32 * GIB,
      pools: [{ name: 'vg0', storage: 'thick', freeBytes: 300 * GIB }],
    },
  },
  nPlusOne: { kept: false, text: 'a failure would leave VMs without a place: blade01 (big01)' },
  losses: [
    {
      kind: 'blade',
      name: 'blade01',
      blades: ['blade01'],
      survivable: false,
      bladesLeft: 2,
      text: 'blade01 takes 2 VMs with it: no place for 1 of them',
      returns: [
        {
          vm: 'web01',
          from: 'blade01',
          to: 'blade02',
          point: 'P1',
          pointAt: 3_600_000,
          pointVerified: true,
          bytes: 20 * GIB,
          backAfterMs: 250_000,
        },
      ],
      unplaced: [
        {
          vm: 'big01',
          reasons: [
            { code: 'no-blade-left', text: 'big01 fits on none of 2 blades' },
            { code: 'memory-short', text: 'needs 48 GiB, has 20 GiB', blade: 'blade02' },
            { code: 'vm-limit', text: 'blade03 has 4 of at most 4 VMs', blade: 'blade03' },
          ],
        },
      ],
      allBackMs: 250_000,
      oldestPointAt: 3_600_000,
      relief: [{ kind: 'memory', text: '28 GiB more memory on blade02', blades: ['blade02'] }],
    },
    { kind: 'feed', name: 'feed-a', survivable: true, text: 'no blade depends on feed feed-a alone' },
  ],
})

test('capacity tells what there is, what a failure would take, and what would help', async () => {
  const { printed, asked, exitCode } = await runCli(['capacity'], { getCapacity: report })
  assert.deepEqual(asked, [{ method: 'getCapacity', request: { blade: '' } }])
  assert.equal(exitCode, 0)
  assert.equal(
    printed[0],
    `3 blades, 2 take VMs (the room of the other 1 is not counted):
  places    5 of 8 taken, 3 free
  memory    40 GiB of 64 GiB taken, 24 GiB free
  vg0       500 GiB of 1000 GiB free (thick), 20 GiB more where volumes are kept after a move
  /srv/vms  60 GiB of 90 GiB free (file)
  the largest VM that still fits: 20 GiB of memory, on blade02 (beside 300 GiB in vg0)

!A failure would leave VMs without a place: blade01 (big01).!
Whether moving VMs helps: lifeboat rebalance --plan

No blades.

If it died now:
WHAT DIES  VMS  COME BACK ON  LAST BACK AFTER  OLDEST DATA  NO RESTORE POINT  NO PLACE
blade01      2  blade02       ~4 min 10 s      1 h ago                     -         1

No blade depends on one alone: feed feed-a.

!blade01 takes 2 VMs with it: no place for 1 of them.!
  big01: memory-short on blade02, vm-limit on blade03

What would help:
  28 GiB more memory on blade02`,
  )
})

test('what would help several losses is told once, with those that it helps', async () => {
  const loss = (name: string, ...relief: string[]) => ({
    kind: 'blade',
    name,
    blades: [name],
    bladesLeft: 9,
    text: `${name} takes 4 VMs with it: none finds a place`,
    unplaced: ['a', 'b'].map(vm => ({
      vm,
      reasons: [{ code: 'no-blade-left', text: `${vm} has no place` }],
    })),
    relief: relief.map(text => ({ kind: 'vm-limit', text })),
  })
  const full = CapacityReport.fromPartial({
    losses: [
      loss('blade01', 'a VM limit of 5 instead of 4', 'one more blade like blade02'),
      loss('blade02', 'a VM limit of 5 instead of 4'),
    ],
  })
  const { printed } = await runCli(['capacity'], { getCapacity: full })
  assert.match(
    printed[0] ?? '',
    /!blade02 takes 4 VMs with it: none finds a place\.!\n {2}a, b: it has no place\n\nWhat would help:\n {2}a VM limit of 5 instead of 4 \(whichever dies\)\n {2}one more blade like blade02 \(should blade01 die\)$/,
  )
})

test('capacity of one blade names each VM, its restore point and its way back', async () => {
  const { printed } = await runCli(['capacity', '--blade', 'blade01'], {
    getCapacity: { ...report, losses: report.losses.slice(0, 1) },
  })
  assert.match(
    printed[0] ?? '',
    /VM +COMES BACK ON +FROM +AGE +VERIFIED +SIZE +BACK AFTER\nweb01 +blade02 +P1 +1 h ago +yes +20 GiB +~4 min 10 s\n {2}big01: /,
  )
})

test('the JSON is the message itself', async () => {
  const { printed } = await runCli(['capacity', '-o', 'json'], { getCapacity: report })
  const json = JSON.parse(printed[0] ?? '')
  assert.equal(json.losses[0].unplaced[0].reasons[1].code, 'memory-short')
  assert.deepEqual([json.losses[0].returns[0].backAfterMs, json.losses[1].blades], [250_000, []])
})
