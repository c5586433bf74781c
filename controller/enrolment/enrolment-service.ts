import type {
  GetAuthorityResponse,
  JoinRequest,
  JoinResponse,
  RenewCertificateRequest,
} from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import { splitAddress } from '../../shared/rpc/address.ts'
import {
  type Authority,
  describeCertificate,
  fingerprint,
  signRequest,
} from '../../shared/rpc/certificates.ts'
import type { Store } from '../store/store.ts'
import type { JoinRole, TokenRecord } from '../store/tokens.ts'
import { BLADE_CERTIFICATE_DAYS } from './authority.ts'
import { checkSecret, hashSecret } from './tokens.ts'

/** Who asks for a new certificate; the old one has been checked. */
export interface Member {
  readonly role: JoinRole
  readonly name: string
}

/**
 * How a blade or a vault gets its certificate. The only part a client without one may talk to; the rpc server logs
 * every refusal.
 */
export interface Enrolment {
  getAuthority(): GetAuthorityResponse
  join(request: JoinRequest, address: string): Promise<JoinResponse>
  renew(member: Member, request: RenewCertificateRequest): Promise<JoinResponse>
}

/** `onJoined` is called when the blade or vault is stored as joined, before it is answered. */
export function createEnrolment(options: {
  store: Store
  authority: Authority
  clock: Clock
  log: Logger
  onJoined: (name: string) => void
}): Enrolment {
  const { store, authority, clock, log } = options

  const sign = async ({ name, role }: Member, requestPem: string) => {
    // A vault is a server on a host that people name: its certificate says by which address, for what checks that.
    const address = role === 'vault' ? store.vaults.get(name)?.address : undefined
    const addresses = address === undefined ? [] : [splitAddress(address).host]
    const pem = await signRequest(
      authority,
      requestPem,
      { name, role, addresses },
      clock.now(),
      BLADE_CERTIFICATE_DAYS,
    )
    return { pem, notAfter: describeCertificate(pem).notAfter }
  }
  const answer = (name: string, certificatePem: string): JoinResponse => ({
    blade: name,
    certificatePem,
    authorityPem: authority.certificatePem,
  })

  const join = async (request: JoinRequest): Promise<{ token: TokenRecord; response: JoinResponse }> => {
    const token = checkSecret(store.tokens, request.secret, clock.now())
    const { blade: name, role } = token
    if ((role === 'vault' ? store.vaults : store.blades).get(name) === undefined) {
      throw new LifeboatError('not-authenticated', `${name} was removed after its token was made`)
    }
    const signed = await sign({ name, role }, request.certificateRequestPem)
    // Used up only now, and by exactly one caller: a request that cannot be signed does not cost the token.
    const won = store.transaction(() => {
      const now = clock.now()
      if (!store.tokens.use(hashSecret(request.secret), now)) return false
      noteJoined(store, token, request.agentVersion, fingerprint(signed.pem), signed.notAfter, now)
      return true
    })
    if (!won) {
      checkSecret(store.tokens, request.secret, clock.now())
      throw new LifeboatError('not-authenticated', `the token of ${name} has been used already`)
    }
    options.onJoined(name)
    return { token, response: answer(name, signed.pem) }
  }

  return {
    getAuthority: () => ({ authorityPem: authority.certificatePem }),
    join: async (request, address) => {
      const { token, response } = await join(request)
      log.info(`${token.role} ${token.blade}: waiting => joined (from ${address})`)
      return response
    },
    renew: async (member, request) => {
      const signed = await sign(member, request.certificateRequestPem)
      // The old one stays good until it expires: the answer may get lost on its way.
      const members = member.role === 'vault' ? store.vaults : store.blades
      members.addCertificate(member.name, fingerprint(signed.pem), signed.notAfter)
      log.info(`${member.role} ${member.name}: certificate renewed`)
      return answer(member.name, signed.pem)
    },
  }
}

function noteJoined(
  store: Store,
  { blade: name, role }: TokenRecord,
  version: string,
  certificate: string,
  notAfter: number,
  now: number,
): void {
  if (role === 'vault') {
    store.vaults.update(name, { joinedAt: now, version, error: '', failingSince: 0 })
    store.vaults.replaceCertificates(name, certificate, notAfter)
    store.stories.tell('fleet', '', now, `vault ${name} joined the fleet (${version})`)
    return
  }
  store.blades.update(name, { joinedAt: now, agentVersion: version, refusal: '' })
  store.blades.replaceCertificates(name, certificate, notAfter)
  store.stories.tell('blade', name, now, `joined the fleet (agent ${version})`)
}
