// The vault of `npm run bench -- backup`, a process of its own: the store and the door of the product. Prints its
// address. A line on its standard input: it proves what came in, and answers with a line when that is done; the end of it:
// so does the vault.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createVaultDoor } from '../../agent/vault/door/server.ts'
import { openVaultStore } from '../../agent/vault/store/vault-store.ts'
import { randomIds, systemClock } from '../../shared/clock.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { createLogger } from '../../shared/log.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'

const [dir = '', identityFile = ''] = process.argv.slice(2)
const log = createLogger({ level: 'warn', format: 'console' })
const store = openVaultStore({
  dir,
  clock: systemClock,
  ids: randomIds,
  log,
  run: createCommandRunner(systemClock),
  access: 'create',
})
const door = await createVaultDoor({
  listen: '127.0.0.1:0',
  identity: JSON.parse(readFileSync(identityFile, 'utf8')) as Identity,
  vaultFor: blade => store.visibleTo(blade, () => false),
  clock: systemClock,
  log,
})
process.stdout.write(`${door.address}\n`)
const orders = createInterface({ input: process.stdin })
orders.on('line', async () => {
  const { chunks } = await store.prove(new AbortController().signal)
  process.stdout.write(`${chunks}\n`)
})
orders.once('close', async () => {
  await door.close()
  await store.close()
})
