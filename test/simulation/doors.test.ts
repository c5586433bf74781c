import assert from 'node:assert/strict'
import { it } from 'node:test'
import { joinFleet } from '../../agent/join.ts'
import { readIdentity } from '../../agent/session/identity-file.ts'
import { AdminClient } from '../../proto/gen/lifeboat/v1/admin.ts'
import { type FromAgent, Hello, IntakeClient } from '../../proto/gen/lifeboat/v1/intake.ts'
import { errorCode } from '../../shared/errors.ts'
import {
  channelOptions,
  createAnonymousChannelCredentials,
  createChannelCredentials,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { fromStatus } from '../../shared/rpc/status.ts'
import { PROTOCOL_VERSION } from '../../shared/version.ts'
import { createScenario } from './scenario.ts'

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'no error',
    (error: unknown) => errorCode(error),
  )

function helloOf(blade: string): FromAgent {
  return {
    kind: {
      $case: 'hello',
      value: Hello.fromPartial({ blade, agentVersion: 'x', protocol: PROTOCOL_VERSION }),
    },
  }
}

/** Opens a session with that hello; resolves with the code of the refusal, or 'no error' at the first answer. */
async function tryHello(client: IntakeClient, hello: FromAgent): Promise<string> {
  const call = client.session()
  const { promise, resolve } = Promise.withResolvers<string>()
  call.on('data', () => resolve('no error'))
  call.on('error', error => resolve(errorCode(fromStatus(error as never))))
  call.write(hello)
  const code = await promise
  call.cancel()
  client.close()
  return code
}

it('each door is closed to the wrong key, and each refusal is logged', async t => {
  const { fleet, lines } = await createScenario(t, { blades: 2, vms: { web01: 'blade01' } })
  const address = fleet.controllerAddress
  const logged = (...words: string[]) => {
    const hit = lines.some(
      line => line.startsWith('controller warn') && words.every(word => line.includes(word)),
    )
    assert.ok(
      hit,
      `no warning with ${words.join(', ')} in\n${lines.filter(line => line.includes('warn')).join('\n')}`,
    )
  }

  // A certificate of blade02 cannot speak for blade01.
  const joined = await readIdentity(fleet.agent('blade02').stateDir)
  assert.ok(joined)
  const asBlade02 = createChannelCredentials(joined.identity)
  const stranger = new IntakeClient(address, asBlade02, channelOptions('controller'))
  assert.equal(await tryHello(stranger, helloOf('blade01')), 'not-allowed')
  logged('blade02', 'blade01')

  // Nor may it command.
  const admin = new AdminClient(address, asBlade02, channelOptions('controller'))
  assert.equal(await codeOf(unary(admin, 'listVms', { blade: '' }, { timeoutMs: 10_000 })), 'not-allowed')
  admin.close()
  logged('blade02', 'ListVms')

  // Without a certificate there is nothing.
  const { authorityPem } = joined.identity
  const anonymous = createAnonymousChannelCredentials(authorityPem)
  const nobody = new IntakeClient(address, anonymous, channelOptions('controller'))
  assert.equal(await tryHello(nobody, helloOf('blade01')), 'not-authenticated')
  logged('Session')

  // A token is good for one blade, once.
  const place = { chassis: 'chassis1', slot: 9, feeds: [], switches: [], tokenTtlMinutes: 0 }
  const { token } = await fleet.admin.ask('addBlade', { name: 'blade09', ...place })
  const join = (stateDir: string) =>
    joinFleet({ role: 'blade', controller: address, token, stateDir, force: false, clock: fleet.clock })
  await join(`${fleet.dir}/first`)
  assert.equal(await codeOf(join(`${fleet.dir}/second`)), 'not-authenticated')
  assert.equal(await readIdentity(`${fleet.dir}/second`), undefined)
  logged('used')
})
