import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { armTimer, LET_GO } from '../../../../../agent/backup/lvm/timer.ts'
import { systemClock } from '../../../../../shared/clock.ts'
import type { CommandRunner } from '../../../../../shared/exec.ts'
import { createCommandRunner } from '../../../../../shared/exec-node.ts'
import { VM_ID } from './fake-blade.ts'

const folder = mkdtempSync(join(tmpdir(), 'lifeboat-let-go-'))
after(() => rmSync(folder, { recursive: true }))

/** A virsh that does what the test says for each command, and writes down what it was asked. */
writeFileSync(
  join(folder, 'virsh'),
  `#!/bin/sh
echo "$3" >&2
case "$3" in
  resume) exit $RESUME ;;
  domfsthaw) exit $THAW ;;
  list) [ "$LIST" = away ] && exit 1; [ "$5" = --state-paused ] && echo "$PAUSED" || echo "$ACTIVE" ;;
esac
`,
)
chmodSync(join(folder, 'virsh'), 0o755)

const runner = createCommandRunner(systemClock)
const OTHER = '5d1f3a60-1111-4a4a-8a8a-000000000002'

/** A guest that runs, and a libvirt that answers, but for what a case says. */
async function letGo(how: 'resume' | 'thaw', world: Record<string, string>) {
  const usual = { RESUME: '0', THAW: '0', LIST: 'there', PAUSED: OTHER, ACTIVE: `${OTHER}\n${VM_ID}` }
  const env = { ...usual, PATH: `${folder}:${process.env.PATH}`, ...world }
  const argv = ['sh', '-c', LET_GO, 'sh', 'qemu:///system', VM_ID, how]
  const { exitCode, stderr } = await runner.run(argv, { timeoutMs: 20_000, env, okExitCodes: [0, 1] })
  return { ended: exitCode === 0 ? 'well' : 'again', asked: stderr.trim().split('\n') }
}

const CASES: readonly (readonly [string, 'resume' | 'thaw', Record<string, string>, 'well' | 'again'])[] = [
  ['it was resumed', 'resume', {}, 'well'],
  ['it ran already', 'resume', { RESUME: '1' }, 'well'],
  ['it stands in spite of the resume', 'resume', { RESUME: '1', PAUSED: `${OTHER}\n${VM_ID}` }, 'again'],
  ['libvirt does not answer', 'resume', { RESUME: '1', LIST: 'away' }, 'again'],
  ['it was thawed', 'thaw', { RESUME: '1' }, 'well'],
  ['its agent is silent', 'thaw', { RESUME: '1', THAW: '1' }, 'again'],
  ['libvirt went away before the thaw', 'thaw', { THAW: '1', LIST: 'away' }, 'again'],
  ['it was switched off', 'thaw', { RESUME: '1', THAW: '1', ACTIVE: OTHER }, 'well'],
]
for (const [what, how, world, ended] of CASES) {
  test(`the timer (${how}) ${ended === 'well' ? 'is done' : 'tries again'}: ${what}`, async () => {
    assert.equal((await letGo(how, world)).ended, ended)
  })
}

test('a guest that stands has no agent that answers: it is resumed before it is thawed', async () => {
  assert.deepEqual((await letGo('thaw', {})).asked, ['resume', 'domfsthaw'])
})

test('the timer never gives up, and its data are arguments, not words of a shell', async () => {
  const seen: string[][] = []
  const run: CommandRunner = {
    ...runner,
    async run(argv) {
      seen.push([...argv])
      return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 }
    },
  }
  const vmId = '$(reboot)'
  await armTimer({ backupId: 'b1', vmId, uri: 'qemu:///system', how: 'resume', budgetMs: 5000 }, run)
  const [argv = []] = seen
  for (const property of ['Restart=on-failure', 'StartLimitIntervalSec=0'])
    assert.ok(argv.includes(`--property=${property}`), property)
  assert.ok(argv.includes('--on-active=5000ms') && argv.includes('--timer-property=AccuracySec=100ms'))
  assert.deepEqual(argv.slice(-7), ['sh', '-c', LET_GO, 'sh', 'qemu:///system', vmId, 'resume'])
  // systemd would put something else in their place.
  assert.doesNotMatch(LET_GO, /\$\{|\$\$|%/)
})
