import type { ServerDuplexStream } from '@grpc/grpc-js'
import {
  EnrolmentService,
  type FromAgent,
  IntakeService,
  type ToAgent,
} from '../../proto/gen/lifeboat/v1/intake.ts'
import { type CallContext, type RpcService, rpcService } from '../../shared/rpc/endpoint.ts'
import type { Enrolment } from '../enrolment/enrolment-service.ts'
import type { Conversation, Intake } from './intake-service.ts'

/** Ties the two services that agents use to the wire. */
export function createAgentServices(intake: Intake, enrolment: Enrolment): RpcService[] {
  return [
    rpcService(EnrolmentService, {
      getAuthority: () => enrolment.getAuthority(),
      join: (request, { peer }) => enrolment.join(request, peer.address),
    }),
    rpcService(IntakeService, {
      session: (stream, call) => holdSession(intake, stream, call),
      renewCertificate: (request, { peer }) => enrolment.renew(intake.requireMember(peer), request),
    }),
  ]
}

/** Settles when the stream is over: by the agent, by us (replaced, stopping), or by an error it is told. */
async function holdSession(
  intake: Intake,
  stream: ServerDuplexStream<FromAgent, ToAgent>,
  { peer, signal }: CallContext,
): Promise<void> {
  const over = Promise.withResolvers<void>()
  const conversation: Conversation = intake.open(peer, {
    address: peer.address,
    send: message => void stream.write(message),
    end: error => (error === undefined ? over.resolve() : over.reject(error)),
  })
  stream.on('data', (message: FromAgent) => {
    try {
      conversation.receive(message)
    } catch (error) {
      over.reject(error)
    }
  })
  stream.once('end', () => over.resolve())
  signal.addEventListener('abort', () => over.resolve(), { once: true })
  try {
    await over.promise
  } finally {
    conversation.closed()
  }
}
