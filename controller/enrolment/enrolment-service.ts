import type {
  GetAuthorityResponse,
  JoinRequest,
  JoinResponse,
  RenewCertificateRequest,
} from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import {
  type Authority,
  describeCertificate,
  fingerprint,
  signRequest,
} from '../../shared/rpc/certificates.ts'
import type { Store } from '../store/store.ts'
import { BLADE_CERTIFICATE_DAYS } from './authority.ts'
import { checkSecret, hashSecret } from './tokens.ts'

/** How a blade gets its certificate. The only part a client without one may talk to; the rpc server logs every refusal. */
export interface Enrolment {
  getAuthority(): GetAuthorityResponse
  join(request: JoinRequest, address: string): Promise<JoinResponse>
  /** For a session's blade, whose certificate has been checked. */
  renew(blade: string, request: RenewCertificateRequest): Promise<JoinResponse>
}

/** `onJoined` is called when the blade is stored as joined, before it is answered. */
export function createEnrolment(options: {
  store: Store
  authority: Authority
  clock: Clock
  log: Logger
  onJoined: (blade: string) => void
}): Enrolment {
  const { store, authority, clock, log } = options

  const sign = async (blade: string, requestPem: string) => {
    const pem = await signRequest(
      authority,
      requestPem,
      { name: blade, role: 'blade' },
      clock.now(),
      BLADE_CERTIFICATE_DAYS,
    )
    return { pem, notAfter: describeCertificate(pem).notAfter }
  }
  const answer = (blade: string, certificatePem: string): JoinResponse => ({
    blade,
    certificatePem,
    authorityPem: authority.certificatePem,
  })

  const join = async (request: JoinRequest): Promise<JoinResponse> => {
    const blade = checkSecret(store.tokens, request.secret, clock.now())
    if (store.blades.get(blade) === undefined) {
      throw new LifeboatError(
        'not-authenticated',
        `${blade} was removed from the fleet after its token was made`,
      )
    }
    const signed = await sign(blade, request.certificateRequestPem)
    // Used up only now, and by exactly one caller: a request that cannot be signed does not cost the token.
    const won = store.transaction(() => {
      const now = clock.now()
      if (!store.tokens.use(hashSecret(request.secret), now)) return false
      store.blades.update(blade, { joinedAt: now, agentVersion: request.agentVersion, refusal: '' })
      store.blades.replaceCertificates(blade, fingerprint(signed.pem), signed.notAfter)
      store.stories.tell('blade', blade, now, `joined the fleet (agent ${request.agentVersion})`)
      return true
    })
    if (!won) {
      checkSecret(store.tokens, request.secret, clock.now())
      throw new LifeboatError('not-authenticated', `the token of ${blade} has been used already`)
    }
    options.onJoined(blade)
    return answer(blade, signed.pem)
  }

  return {
    getAuthority: () => ({ authorityPem: authority.certificatePem }),
    join: async (request, address) => {
      const response = await join(request)
      log.info(`blade ${response.blade}: waiting => joined (from ${address})`)
      return response
    },
    renew: async (blade, request) => {
      const signed = await sign(blade, request.certificateRequestPem)
      // The old one stays good until it expires: the answer may get lost on its way.
      store.blades.addCertificate(blade, fingerprint(signed.pem), signed.notAfter)
      log.info(`blade ${blade}: certificate renewed`)
      return answer(blade, signed.pem)
    },
  }
}
