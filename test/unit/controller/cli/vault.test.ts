import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddVaultResponse, VaultView } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { CollectReport } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import { runCli } from './fake-context.ts'

const GIB = 1024 ** 3
const NOW = 1_000_000
const depot = VaultView.fromPartial({
  name: 'depot',
  address: '192.0.2.20:7423',
  enrolment: 'joined',
  reachable: true,
  seenAt: NOW - 5000,
  status: {
    name: 'depot',
    version: '0.1.0',
    sizeBytes: 100 * GIB,
    freeBytes: 40 * GIB,
    storedBytes: 30 * GIB,
    chunks: 1000,
    unproven: 40,
    points: 12,
    sessions: 1,
    maxSessions: 4,
    accepts: true,
    scrubStartedAt: NOW - 60_000,
    scrubDoneChunks: 250,
  },
})
const corrupt = {
  code: 'chunk-corrupt',
  text: 'chunk ab12 is corrupt; the next backup brings it again',
  chunk: 'ab12',
  points: [{ vmId: 'id-1', point: '20261128T020512Z' }],
  since: NOW,
}
const sick = VaultView.fromPartial({ ...depot, status: { ...depot.status, problems: [corrupt] } })

test('a vault is announced by its address; the answer is what to type there', async () => {
  const addVault = AddVaultResponse.fromPartial({
    name: 'depot',
    expiresAt: NOW,
    joinCommand: 'lifeboat-vault join --controller 192.0.2.10 lifeboat1.x',
  })
  const run = await runCli(['vault', 'add', 'depot', '--address', '192.0.2.20'], { addVault })
  assert.deepEqual(run.asked[0]?.request, {
    name: 'depot',
    address: '192.0.2.20',
    tokenTtlMinutes: 0,
    replace: false,
  })
  const moved = await runCli(['vault', 'add', 'depot', '--address', '192.0.2.21', '--replace'], { addVault })
  assert.match(JSON.stringify(moved.asked[0]?.request), /"replace":true/)
  assert.match(run.printed[0] ?? '', /as root, type:\n\n {2}lifeboat-vault join --controller/)
  await assert.rejects(runCli(['vault', 'add', 'depot'], {}), { name: 'CommanderError' })
})

test('the list is one line a vault; waiting and unreachable ones say so', async () => {
  const vaults = [
    depot,
    VaultView.fromPartial({ name: 'new', address: 'h:7423', enrolment: 'waiting' }),
    VaultView.fromPartial({ ...sick, name: 'far', reachable: false, error: 'no answer' }),
  ]
  const text = (await runCli(['vault', 'list'], { listVaults: { vaults } })).printed[0] ?? ''
  assert.match(text, /^depot +ok +192\.0\.2\.20:7423 +40 GiB of 100 GiB +12 +30 GiB +0 +never$/m)
  assert.match(text, /^new +not joined +h:7423 +- +- +- +- +never$/m)
  assert.match(text, /^far +UNREACHABLE /m)
  const json = await runCli(['vault', 'list', '-o', 'json'], { listVaults: { vaults } })
  assert.equal(JSON.parse(json.printed[0] ?? '')[0].status.points, 12)
  const none = await runCli(['vault', 'list'], { listVaults: { vaults: [] } })
  assert.match(none.printed[0] ?? '', /lifeboat vault add depot --address HOST/)
})

test('the status tells the scrub under way and every problem; a problem is exit code 1', async () => {
  const well = await runCli(['vault', 'status'], { listVaults: { vaults: [depot] } })
  assert.equal(well.exitCode, 0)
  assert.match(
    well.printed[0] ?? '',
    /30 GiB in 1000 chunks, 40 of them new and still to be hashed\n[\s\S]*scrub: under way since 1 min ago, 25 % of the chunks; chunks collected: never/,
  )
  const ill = await runCli(['vault', 'status', 'depot'], { listVaults: { vaults: [sick] } })
  assert.equal(ill.exitCode, 1)
  assert.match(
    ill.printed[0] ?? '',
    /Problems:\n {2}chunk-corrupt since .*: chunk ab12 is corrupt.* \(1 restore point\)/,
  )
  await assert.rejects(runCli(['vault', 'status', 'x'], { listVaults: { vaults: [depot] } }), {
    code: 'not-found',
    message: /lifeboat vault list/,
  })
})

test('a scrub goes on by itself, and can be stopped; the only vault needs no name', async () => {
  const begun = await runCli(['vault', 'scrub'], { scrubVault: depot })
  assert.deepEqual(begun.asked[0]?.request, { name: '', stop: false })
  assert.match(begun.printed[0] ?? '', /lifeboat vault status depot/)
  const stopped = await runCli(['vault', 'scrub', 'depot', '--stop'], { scrubVault: depot })
  assert.deepEqual(stopped.asked[0]?.request, { name: 'depot', stop: true })
  assert.match(stopped.printed[0] ?? '', /^depot: the scrub is stopped/)
  for (const status of [
    { ...depot.status, scrubStartedAt: 0 },
    { ...depot.status, scrubEndedAt: NOW },
  ]) {
    const scrubVault = VaultView.fromPartial({ ...depot, status })
    const none = await runCli(['vault', 'scrub', '--stop'], { scrubVault })
    assert.deepEqual([none.printed, none.exitCode], [['depot: no scrub was running'], 0])
  }
})

test('gc says what it removed, what it would remove, and why it removed nothing', async () => {
  const listVaults = { vaults: [depot, VaultView.fromPartial({ name: 'new', enrolment: 'waiting' })] }
  const report = CollectReport.fromPartial({ chunks: 3, bytes: GIB, keptChunks: 7 })
  const dry = await runCli(['vault', 'gc', '--dry-run'], { listVaults, collectVault: report })
  assert.deepEqual(dry.noted, ['looking at every index and chunk of the vault'])
  assert.equal(dry.printed[0], '3 chunks (1 GiB) would be removed, 7 are in use')
  const refused = CollectReport.fromPartial({ refused: 'the index of web01 cannot be read' })
  const run = await runCli(['vault', 'gc', 'depot'], { listVaults, collectVault: refused })
  assert.equal(run.exitCode, 1)
  assert.match(run.printed[0] ?? '', /Nothing was removed: the index of web01 cannot be read\n.*vault status/)
  await assert.rejects(runCli(['vault', 'gc', 'nope'], { listVaults }), {
    code: 'not-found',
    message: /there is no vault nope/,
  })
  const early = await runCli(['vault', 'gc', 'new'], { listVaults, collectVault: report })
  assert.deepEqual(early.noted, [], 'one that has not joined is refused: nothing is looked at')
})

test('of a vault that is away the status says since when, and what it means for the nights', async () => {
  const error = 'the vault depot does not answer at 192.0.2.20:7423: connection refused'
  const away = VaultView.fromPartial({ ...depot, reachable: false, error })
  const run = await runCli(['vault', 'status'], { listVaults: { vaults: [away] } })
  const [head, why, ...rest] = (run.printed[0] ?? '').split('\n')
  assert.match(head ?? '', /^depot: UNREACHABLE at 192\.0\.2\.20:7423, last heard \d{4}-.* \(5.* ago\)$/)
  assert.equal(why, `  ${error}`)
  assert.match(rest.join(' '), /no VM is backed up to it or restored from it; blades try again by themselves/)
  assert.equal(run.exitCode, 1)
})
