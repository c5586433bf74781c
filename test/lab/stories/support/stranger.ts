// Run inside the lab's network namespace: makes one call to the controller as somebody, prints what came of it as JSON.
import { AdminClient } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { EnrolmentClient, IntakeClient, type ToAgent } from '../../../../proto/gen/lifeboat/v1/intake.ts'
import { createRequest } from '../../../../shared/rpc/certificates.ts'
import { unary } from '../../../../shared/rpc/client.ts'
import {
  channelOptions,
  createAnonymousChannelCredentials,
  createChannelCredentials,
} from '../../../../shared/rpc/credentials.ts'
import { PROTOCOL_VERSION, VERSION } from '../../../../shared/version.ts'
import type { Attempt, AttemptResult } from './attempt.ts'

const LIMIT_MS = 20_000

/** Says hello for a blade; welcomed means that a report would be believed. */
function report(client: IntakeClient, blade: string): Promise<void> {
  const stream = client.session({ deadline: Date.now() + LIMIT_MS })
  return new Promise((resolve, reject) => {
    stream.on('data', (message: ToAgent) => {
      if (message.kind?.$case === 'welcome') resolve()
    })
    stream.on('error', reject)
    stream.on('end', () => reject(new Error('the stream was closed')))
    const peerAddress = '10.77.0.254:7422'
    const who = { blade, agentVersion: VERSION, protocol: PROTOCOL_VERSION, bootId: 'stranger' }
    stream.write({ kind: { $case: 'hello', value: { ...who, orders: [], peerAddress } } })
  })
}

async function attempt({ address, call, identity, blade = '', secret = '' }: Attempt): Promise<void> {
  const credentials =
    identity === undefined ? createAnonymousChannelCredentials() : createChannelCredentials(identity)
  const options = channelOptions('controller')
  if (call === 'report') return await report(new IntakeClient(address, credentials, options), blade)
  if (call === 'status') {
    await unary(new AdminClient(address, credentials, options), 'getStatus', {}, { timeoutMs: LIMIT_MS })
    return
  }
  const { requestPem } = await createRequest('stranger')
  const request = { secret, certificateRequestPem: requestPem, agentVersion: VERSION }
  await unary(new EnrolmentClient(address, credentials, options), 'join', request, { timeoutMs: LIMIT_MS })
}

const result: AttemptResult = await attempt(JSON.parse(process.argv[2] ?? '{}') as Attempt).then(
  () => ({ done: true, refusal: '' }),
  (error: Error) => ({ done: false, refusal: error.message }),
)
console.log(JSON.stringify(result))
// The channel keeps the process alive, and there is nothing to end in order.
process.exit()
