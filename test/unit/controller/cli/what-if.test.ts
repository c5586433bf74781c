import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readWhatIf } from '../../../../controller/cli/what-if-input.ts'
import { WhatIfReport } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { runCli } from './fake-context.ts'

const GIB = 1024 ** 3
const report = WhatIfReport.fromPartial({
  fits: false,
  text: 'it does not fit: no place for 1 of 2 VMs',
  changes: ['without blade03', 'with 1 new VM of 8 GiB of memory and 100 GiB of disk'],
  moves: [
    {
      vm: 'web01',
      from: 'blade03',
      to: 'blade01',
      method: 'live',
      memoryBytes: 4 * GIB,
      volumeBytes: 20 * GIB,
    },
  ],
  unplaced: [{ vm: 'new-vm1', reasons: [{ code: 'no-blade-left', text: 'there is no other blade' }] }],
  relief: [{ kind: 'memory', text: '4 GiB more memory on blade01', blades: ['blade01'] }],
  nPlusOneBefore: { kept: true, text: 'any one blade may fail' },
  nPlusOneAfter: { kept: false, text: 'a failure would leave VMs without a place: blade01 (web01)' },
  after: [{ blade: 'blade01', vms: 3, maxVms: 4, memoryUsedBytes: 20 * GIB, memoryTotalBytes: 24 * GIB }],
})

test('what is typed is asked, what does not fit is told, and the exit code says it too', async () => {
  const run = await runCli(
    [
      'what-if',
      '--remove',
      'blade03',
      'blade04,blade05',
      '--add-vm',
      'mem=8G,disk=100G,disk=20G,vcpus=4,count=3',
    ],
    { whatIf: report },
  )
  assert.deepEqual(run.asked[0]?.request, {
    remove: ['blade03', 'blade04', 'blade05'],
    addVms: [
      {
        name: '',
        count: 3,
        memoryBytes: 8 * GIB,
        vcpus: 4,
        disksBytes: [100 * GIB, 20 * GIB],
        pool: '',
        networks: [],
      },
    ],
    addBlades: [],
  })
  assert.equal(run.exitCode, 2)
  assert.equal(
    run.printed[0],
    `!The fleet without blade03, with 1 new VM of 8 GiB of memory and 100 GiB of disk: it does not fit: no place for 1 of 2 VMs.!
  new-vm1: there is no other blade

What would help:
  4 GiB more memory on blade01

VM     FROM     TO       METHOD  MEMORY  VOLUMES
web01  blade03  blade01  live     4 GiB   20 GiB

Afterwards, without those that find no place:

BLADE    VMS  MEMORY            FREE ROOM
blade01  3/4  20 GiB of 24 GiB  -

Now:        Any one blade may fail.
Afterwards: Without those a failure would leave VMs without a place: blade01 (web01).`,
  )
  const fits = await runCli(['what-if', '--add-blade', 'like=blade01,mem=1.5T,max-vms=6'], {
    whatIf: { ...report, fits: true },
  })
  assert.equal(fits.exitCode, 0)
  assert.match(fits.printed[0] ?? '', /\nAfterwards:\n/)
  assert.match(fits.printed[0] ?? '', /\nAfterwards: A failure would/)
})

test('bad input is one error with all problems and an example, and nobody is asked', async () => {
  const wrong = {
    remove: [],
    addVm: ['disk=100,vcpus=0,count=x,colour=red,mem', 'mem=8G,mem=9G'],
    addBlade: ['mem=9999999999999G'],
  }
  assert.throws(
    () => readWhatIf(wrong),
    (error: unknown) => {
      assert.ok(error instanceof LifeboatError && error.code === 'bad-input')
      assert.deepEqual(error.details, [
        "--add-vm: 'mem' is no key=value",
        '--add-vm: count=x must be a whole number of 1 or more',
        '--add-vm: mem= is missing',
        '--add-vm: vcpus=0 must be a whole number of 1 or more',
        '--add-vm: disk=100 must be a size like 512M, 8G or 1.5T',
        '--add-vm: colour is unknown; there are mem, disk, vcpus, name, count, pool, net',
        '--add-vm: mem is given 2 times',
        '--add-blade: like= is missing',
        '--add-blade: mem=9999999999999G must be a size like 512M, 8G or 1.5T',
        'for example: lifeboat what-if --add-vm mem=8G,disk=100G,vcpus=4,count=3',
      ])
      return true
    },
  )
  await assert.rejects(runCli(['what-if'], {}), { code: 'bad-input' })
  // 0 is no limit of a blade: taken for "not said", it would answer another question.
  assert.throws(() => readWhatIf({ remove: [], addVm: [], addBlade: ['like=blade01,max-vms=0'] }), {
    details: [
      '--add-blade: max-vms=0 must be a whole number of 1 or more',
      'for example: lifeboat what-if --remove blade03 blade04 --add-blade like=blade01,mem=256G',
    ],
  })
})
