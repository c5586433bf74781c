import { LifeboatError } from '../../shared/errors.ts'
import type { CallContext } from '../../shared/rpc/endpoint.ts'

/**
 * Who may call what. Enrolment: anybody, a token decides there. Intake: blades; a vault only renews its certificate. Admin: people on this host (the file
 * mode of the socket says which) and certificates of role admin. What is not listed is refused.
 */
export function authorise({ method, peer }: Pick<CallContext, 'method' | 'peer'>): void {
  const service = method.split('/')[1]
  if (service === 'lifeboat.v1.Enrolment') return
  if (peer.role === 'none') {
    throw new LifeboatError('not-authenticated', 'no valid certificate of this fleet was shown')
  }
  if (service === 'lifeboat.v1.Intake' && peer.role === 'blade') return
  if (method === '/lifeboat.v1.Intake/RenewCertificate' && peer.role === 'vault') return
  if (service === 'lifeboat.v1.Admin' && (peer.role === 'local' || peer.role === 'admin')) return
  throw new LifeboatError('not-allowed', `role ${peer.role} may not call ${method}`)
}
