import { EnrolmentClient, type JoinResponse } from '../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../shared/clock.ts'
import { LifeboatError } from '../shared/errors.ts'
import { controllerAddress } from '../shared/rpc/address.ts'
import { createRequest, describeCertificate, fingerprint } from '../shared/rpc/certificates.ts'
import { channelOptions, createAnonymousChannelCredentials, unary } from '../shared/rpc/endpoint.ts'
import { type JoinToken, parseJoinToken } from '../shared/rpc/join-token.ts'
import { VERSION } from '../shared/version.ts'
import { type BladeIdentity, readIdentity, writeIdentity } from './session/identity-file.ts'

const REQUEST_LIMIT_MS = 15_000

export interface JoinOptions {
  /** What this host becomes. */
  readonly role: 'blade' | 'vault'
  /** host or host:port */
  readonly controller: string
  readonly token: string
  readonly stateDir: string
  /** Join again over an identity that is there. */
  readonly force: boolean
  readonly clock: Clock
}

/**
 * Trades a one-time token for a certificate and writes the identity of the blade or vault. The key never leaves this
 * host, and the secret is sent only to a server whose authority has the hash that the token carries.
 * Errors: `already-exists`, `bad-input` (also a token for the other role), `not-authenticated` (wrong authority; token
 * unknown, used or expired), `unavailable`.
 */
export async function joinFleet(options: JoinOptions): Promise<BladeIdentity> {
  const { role } = options
  const token = parseJoinToken(options.token)
  if ((token.role ?? 'blade') !== role) {
    const other =
      role === 'blade' ? "a vault: 'lifeboat-vault join' takes it" : "a blade: 'lifeboat-agent join' takes it"
    throw new LifeboatError('bad-input', `the token of ${token.blade} is for ${other}`)
  }
  const present = options.force ? undefined : await readIdentity(options.stateDir)
  if (present !== undefined) {
    throw new LifeboatError(
      'already-exists',
      `this ${role} has already joined as ${present.blade} (controller ${present.controller}); --force joins anew`,
    )
  }
  if (token.expiresAt <= options.clock.now()) {
    throw new LifeboatError(
      'not-authenticated',
      `the token has expired, or this host's clock is wrong: 'lifeboat ${role} add ${token.blade}' makes a new one`,
    )
  }
  const controller = controllerAddress(options.controller)
  const authorityPem = await fetchAuthority(controller, token)
  const { privateKeyPem, requestPem } = await createRequest(token.blade)
  const answer = await askToJoin(controller, authorityPem, token, requestPem)
  const subject = describeCertificate(answer.certificatePem)
  if (subject.name !== token.blade || subject.role !== role) {
    const certified = `${subject.role} ${subject.name}`
    throw new LifeboatError('internal', `the controller certified ${certified}, not ${role} ${token.blade}`)
  }
  const identity: BladeIdentity = {
    blade: token.blade,
    controller,
    identity: { certificatePem: answer.certificatePem, privateKeyPem, authorityPem },
  }
  writeIdentity(options.stateDir, identity)
  return identity
}

/** From a server nobody has vouched for yet; the hash in the token is what vouches for it. */
async function fetchAuthority(controller: string, token: JoinToken): Promise<string> {
  const client = new EnrolmentClient(
    controller,
    createAnonymousChannelCredentials(),
    channelOptions('controller'),
  )
  try {
    const { authorityPem } = await unary(client, 'getAuthority', {}, { timeoutMs: REQUEST_LIMIT_MS })
    if (fingerprint(authorityPem) !== token.authority) {
      throw new LifeboatError(
        'not-authenticated',
        `${controller} is not the controller that made this token: nothing was sent to it`,
      )
    }
    return authorityPem
  } catch (error) {
    throw withController(controller, error)
  } finally {
    client.close()
  }
}

async function askToJoin(
  controller: string,
  authorityPem: string,
  token: JoinToken,
  requestPem: string,
): Promise<JoinResponse> {
  const client = new EnrolmentClient(
    controller,
    createAnonymousChannelCredentials(authorityPem),
    channelOptions('controller'),
  )
  try {
    return await unary(
      client,
      'join',
      { secret: token.secret, certificateRequestPem: requestPem, agentVersion: VERSION },
      { timeoutMs: REQUEST_LIMIT_MS },
    )
  } catch (error) {
    throw withController(controller, error)
  } finally {
    client.close()
  }
}

function withController(controller: string, error: unknown): unknown {
  if (!(error instanceof LifeboatError) || error.code !== 'unavailable') return error
  const message = `the controller at ${controller} cannot be reached: is lifeboat-controller running, is the port open?`
  return new LifeboatError('unavailable', message, { cause: error })
}
