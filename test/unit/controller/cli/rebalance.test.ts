import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Operation, Rebalance } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { runCli } from './fake-context.ts'

const GIB = 1024 ** 3
const made = Rebalance.fromPartial({
  text: '1 move of 24 GiB in about 6 min: afterwards any one blade may fail',
  leftAlone: ['db01 was moved lately and is left alone for 4 h more'],
  plan: {
    cause: 'rebalance, asked for by local',
    moves: [
      {
        vm: 'web01',
        vmId: 'w',
        from: 'blade02',
        to: 'blade03',
        method: 'live',
        role: 'balances',
        state: 'planned',
        volumeBytes: 20 * GIB,
        expectedDowntimeMs: 300,
        expectedEndMs: 360_000,
      },
    ],
    nPlusOne: { kept: true, text: 'any one blade may fail' },
  },
})
const operation = Operation.fromPartial({ id: 'o9', kind: 'evacuate', state: 'running', plan: 'p4' })

test('rebalance --plan tells the gain, the moves and who is left alone, and moves nothing', async () => {
  const run = await runCli(['rebalance', '--plan'], { planRebalance: made })
  assert.deepEqual(run.asked, [{ method: 'planRebalance', request: {} }])
  assert.equal(run.exitCode, 0)
  assert.equal(
    run.printed[0],
    `1 move of 24 GiB in about 6 min: afterwards any one blade may fail.

What rebalancing would do (nothing is moved)
  why: rebalance, asked for by local

VM     FROM     TO       METHOD  VOLUMES  DOWNTIME  DONE AFTER  STATE
web01  blade02  blade03  live     20 GiB  ~300 ms   ~6 min      planned

Afterwards:
No blades.

Afterwards any one blade may fail.

Left alone:
  db01 was moved lately and is left alone for 4 h more`,
  )
})

test('rebalance --apply is followed to its end; where nothing is worth a move it says so', async () => {
  const run = await runCli(['rebalance', '--apply'], { applyRebalance: { ...made, operation } }, [
    { ...operation, state: 'done', outcome: '1 of 1 VMs moved in 6 min' },
  ])
  assert.equal(run.exitCode, 0)
  assert.match(run.printed[1] ?? '', /o9: rebalance\n {2}done.*1 of 1 VMs moved/)
  const idle = await runCli(['rebalance', '--apply'], {
    applyRebalance: Rebalance.fromPartial({ text: 'nothing is worth a move', plan: {} }),
  })
  assert.deepEqual([idle.printed, idle.exitCode], [['Nothing is worth a move.'], 0])
  const lost = await runCli(['rebalance', '--plan'], {
    planRebalance: Rebalance.fromPartial({ text: 'no move helps: x', plan: { nPlusOne: { kept: false } } }),
  })
  assert.deepEqual(lost.printed, ['No move helps: x.\n\nWhat would help: lifeboat capacity'])
  assert.equal(lost.exitCode, 2, 'as with all that plans: VMs would find no place')
})

test('without --plan or --apply nothing is asked, and both together are refused', async () => {
  await assert.rejects(runCli(['rebalance'], {}), { code: 'bad-input' })
  await assert.rejects(runCli(['rebalance', '--plan', '--apply'], {}))
})
