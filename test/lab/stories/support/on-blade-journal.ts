// Run on a blade: waits until the agent's journal holds an event of a backup that began after this program did, prints
// `reached`, and kills a process at once if it was given one. It makes a file when it looks. Slower ways (ssh, the CLI) come too late for a step of 0.1 s.
import { writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'

const [ready = '', step = '', eventKind = '', pidToKill = ''] = process.argv.slice(2)
const LOOK_MS = 4
const LIMIT_MS = 120_000

const database = new DatabaseSync('/var/lib/lifeboat/agent/agent.sqlite', { readOnly: true })
const known = new Set(
  database
    .prepare('SELECT id FROM sagas')
    .all()
    .map(row => String(row.id)),
)
const look = database.prepare(
  `SELECT saga_id FROM saga_events JOIN sagas ON sagas.id = saga_id
   WHERE sagas.kind = 'backup-vm' AND event ->> 'kind' = ? AND event ->> 'step' = ?`,
)
writeFileSync(ready, '')

const endAt = Date.now() + LIMIT_MS
while (!look.all(eventKind, step).some(row => !known.has(String(row.saga_id)))) {
  if (Date.now() > endAt) {
    console.error(`no ${eventKind} of ${step} within ${LIMIT_MS} ms`)
    process.exit(1)
  }
  await sleep(LOOK_MS)
}
if (pidToKill !== '') process.kill(Number(pidToKill), 'SIGKILL')
console.log('reached')
