// A vault with one restore point that takes a second backup, drops the first and collects; it stops before each of its
// effects, says which one, and goes on for a line of input. Started and killed by vault-kill.test.ts.
import { createInterface } from 'node:readline'
import { openVaultStore } from '../../agent/vault/store/vault-store.ts'
import { randomIds } from '../../shared/clock.ts'
import { silentLogger } from '../../shared/log.ts'
import { createManualClock } from '../fakes/manual-clock.ts'
import { beginBackup, draftOf, FIRST_NIGHT, idleRunner, sendChunks, VAULT_NOW } from '../fakes/vault-dir.ts'

const DAY_MS = 86_400_000
const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]()

async function stop(before: string): Promise<void> {
  process.stdout.write(`${before}\n`)
  await answers.next()
}

const first = { seeds: [1, 2, 3] }
const second = { seeds: [3, 4, 5, 6], at: FIRST_NIGHT + DAY_MS }
const store = openVaultStore({
  dir: process.argv[2] ?? '',
  clock: createManualClock(VAULT_NOW),
  ids: randomIds,
  log: silentLogger,
  access: 'create',
  space: async () => {
    await stop('settle')
    return { sizeBytes: 2 ** 40, freeBytes: 2 ** 39 }
  },
  run: {
    ...idleRunner,
    run: async () => {
      await stop('sync')
      return { stdout: '', stderr: '', exitCode: 0, durationMs: 0 }
    },
  },
})

async function backUpInSteps(backup: typeof second | typeof first): Promise<void> {
  await stop('begin')
  const session = await beginBackup(store, backup)
  await stop('send')
  await sendChunks(session, backup.seeds)
  await stop('publish')
  await session.publish(draftOf(backup))
}

await backUpInSteps(first)
await backUpInSteps(second)
await stop('prune')
await store.prune({ dryRun: false, policy: { keepLast: 1, keepDaily: 0, keepWeekly: 0, keepMonthly: 0 } })
await stop('collect')
await store.collect({ dryRun: false, signal: new AbortController().signal })
await stop('end')
await store.close()
process.stdin.destroy()
