import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { connect, findController } from '../../../../controller/cli/connection.ts'
import { exitCodeOf } from '../../../../controller/cli/exit-codes.ts'
import { formatErrorChain } from '../../../../shared/errors.ts'

test('without a controller a person reads where it was sought, why not, and what to look at; the exit code is 4', async () => {
  const connection = connect(findController({ socket: '/nowhere/controller.sock' }, {}))
  try {
    await connection.ask('getStatus', {})
    assert.fail('nothing listens there')
  } catch (error) {
    assert.match(
      formatErrorChain(error),
      /^cannot reach the controller's socket \/nowhere\/controller\.sock\. .*systemctl status lifeboat-controller.*: connect ENOENT \/nowhere\/controller\.sock$/,
    )
    assert.equal(exitCodeOf(error), 4)
  } finally {
    connection.close()
  }
})

test('a remote controller without a certificate: the message says how to make one', () => {
  const destination = findController({ controller: '192.0.2.10', identity: '/nowhere' }, {})
  assert.equal(destination.address, '192.0.2.10:7420')
  assert.throws(() => connect(destination), {
    code: 'not-authenticated',
    message: /admin-certificate NAME --out DIR/,
  })
})

test('a controller that takes the question and says nothing: exit code 4, and where to look', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'lb-'))
  const socket = join(directory, 's')
  const callers: Socket[] = []
  const server = createServer(caller => callers.push(caller)).listen(socket)
  await once(server, 'listening')
  const connection = connect(findController({ socket }, {}))
  t.after(() => {
    connection.close()
    server.close()
    for (const caller of callers) caller.destroy()
    rmSync(directory, { recursive: true, force: true })
  })
  try {
    await connection.ask('getStatus', {}, { timeoutMs: 50 })
    assert.fail('nobody answers')
  } catch (error) {
    assert.match(
      formatErrorChain(error),
      /^no answer from the controller's socket \S+ in time\..*operation list$/,
    )
    assert.equal(exitCodeOf(error), 4)
  }
})
