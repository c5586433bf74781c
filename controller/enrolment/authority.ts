import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { writeDurably } from '../../shared/durable-file.ts'
import { LifeboatError } from '../../shared/errors.ts'
import {
  type Authority,
  createAuthority,
  createIdentity,
  describeCertificate,
  type Identity,
} from '../../shared/rpc/certificates.ts'

const DAY_MS = 24 * HOUR_MS
/** The server certificate is made anew at a start when a third of it is left; a controller restarts more often. */
const SERVER_DAYS = 1826
const RENEW_WHEN_LEFT_MS = (SERVER_DAYS / 3) * DAY_MS
/** A blade's; it renews itself over its session. */
export const BLADE_CERTIFICATE_DAYS = 365
export const ADMIN_CERTIFICATE_DAYS = 365

export interface Pki {
  readonly authority: Authority
  readonly identity: Identity
  /** Where agents reach this controller, best first; for the join command. */
  readonly addresses: readonly string[]
  /** What had to be made; empty when everything was there. */
  readonly made: readonly string[]
}

/**
 * The controller's own CA and server certificate, below `<stateDir>/pki`. Made when missing, kept when there: a lost
 * CA means that every blade must join again. `addresses` undefined: those of the last time.
 */
export async function ensurePki(
  stateDir: string,
  now: number,
  addresses: readonly string[] | undefined,
  fallbackAddresses: readonly string[],
): Promise<Pki> {
  const dir = join(stateDir, 'pki')
  const path = (name: string) => join(dir, name)
  const made: string[] = []
  // The parents stay passable: the service's user must get to its own directory below them.
  mkdirSync(dirname(stateDir), { recursive: true, mode: 0o755 })
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const hasKey = existsSync(path('authority.key'))
  if (existsSync(path('authority.crt')) !== hasKey) {
    throw new LifeboatError('bad-config', `${dir} has only one of authority.crt and authority.key`, {
      details: [
        'put the missing one back from your backup; a new authority would shut out every joined blade',
      ],
    })
  }
  if (!hasKey) {
    const fresh = await createAuthority(now)
    // The key first: a certificate without its key is refused above, a key without certificate too, and both say so.
    writeDurably(path('authority.key'), fresh.privateKeyPem, 0o600)
    writeDurably(path('authority.crt'), fresh.certificatePem, 0o644)
    made.push(path('authority.crt'))
  }
  const authority = {
    certificatePem: readFileSync(path('authority.crt'), 'utf8'),
    privateKeyPem: readFileSync(path('authority.key'), 'utf8'),
  }
  const known = existsSync(path('addresses'))
    ? readFileSync(path('addresses'), 'utf8').split('\n').filter(Boolean)
    : []
  const wanted =
    addresses !== undefined && addresses.length > 0 ? addresses : known.length > 0 ? known : fallbackAddresses
  const changed = wanted.join('\n') !== known.join('\n')
  if (changed || !existsSync(path('controller.key')) || isOld(path('controller.crt'), now)) {
    const fresh = await createIdentity(
      authority,
      { name: 'controller', role: 'controller', addresses: [...wanted] },
      now,
      SERVER_DAYS,
    )
    writeDurably(path('controller.key'), fresh.privateKeyPem, 0o600)
    writeDurably(path('controller.crt'), fresh.certificatePem, 0o644)
    writeDurably(path('addresses'), `${wanted.join('\n')}\n`, 0o644)
    made.push(path('controller.crt'))
  }
  const identity = {
    certificatePem: readFileSync(path('controller.crt'), 'utf8'),
    privateKeyPem: readFileSync(path('controller.key'), 'utf8'),
    authorityPem: authority.certificatePem,
  }
  return { authority, identity, addresses: wanted, made }
}

function isOld(path: string, now: number): boolean {
  if (!existsSync(path)) return true
  return describeCertificate(readFileSync(path, 'utf8')).notAfter - now < RENEW_WHEN_LEFT_MS
}
