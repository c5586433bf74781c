import { createHash, webcrypto, X509Certificate } from 'node:crypto'
import type { PeerCertificate } from 'node:tls'
import { LifeboatError } from '../errors.ts'

export interface Identity {
  readonly certificatePem: string
  readonly privateKeyPem: string
  readonly authorityPem: string
}
export type Role = 'blade' | 'vault' | 'controller' | 'admin'

export interface Authority {
  readonly certificatePem: string
  readonly privateKeyPem: string
}

/** The subject is the authority's choice, never the request's: a blade cannot ask for another name or role. */
export interface Subject {
  readonly name: string
  readonly role: Role
  /** IP addresses or DNS names the server is also reached by; the name itself always stands in. */
  readonly addresses?: readonly string[]
}

export interface CertificateDescription {
  readonly name: string
  readonly role: Role
  /** Epoch ms. */
  readonly notBefore: number
  readonly notAfter: number
}

const DAY_MS = 24 * 3600 * 1000
const AUTHORITY_DAYS = 20 * 365
/** Blades without an RTC battery boot hours off; a certificate must not be invalid on them for that. */
const CLOCK_SKEW_MS = DAY_MS
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const ROLES: readonly string[] = ['blade', 'vault', 'controller', 'admin'] satisfies Role[]

// Loaded on first use: an agent needs it once a year, and it would sit in the memory of every idle blade.
async function loadX509() {
  // The library's container asks for the Reflect metadata API as it loads, and brings none itself.
  await import('reflect-metadata')
  return await import('@peculiar/x509')
}
type X509 = Awaited<ReturnType<typeof loadX509>>

/** A self-signed authority for 20 years. `now` in epoch ms. */
export async function createAuthority(now: number): Promise<Authority> {
  const x509 = await loadX509()
  const keys = await generateKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ['Lifeboat authority'] }],
    serialNumber: randomSerial(),
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + AUTHORITY_DAYS * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificatePem: pemText(certificate.toString('pem')), privateKeyPem: await exportKey(keys) }
}

/** A key that never leaves its host, and the request to certify it. */
export async function createRequest(name: string): Promise<{ privateKeyPem: string; requestPem: string }> {
  const x509 = await loadX509()
  const keys = await generateKeys()
  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: [{ CN: [name] }],
    keys,
    signingAlgorithm: ALGORITHM,
  })
  return { privateKeyPem: await exportKey(keys), requestPem: pemText(request.toString('pem')) }
}

/**
 * Certifies the key of the request under the given subject: CN=name, OU=role, SAN DNS:name and the addresses.
 * `now` in epoch ms. Errors: `bad-input` for a request that cannot be read or is not signed by its own key.
 */
export async function signRequest(
  authority: Authority,
  requestPem: string,
  subject: Subject,
  now: number,
  days: number,
): Promise<string> {
  const x509 = await loadX509()
  const publicKey = await readRequest(x509, requestPem)
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    issuer: issuer.subject,
    subject: [{ CN: [subject.name] }, { OU: [subject.role] }],
    notBefore: new Date(now - CLOCK_SKEW_MS),
    notAfter: new Date(now + days * DAY_MS),
    signingKey: await importKey(authority.privateKeyPem),
    publicKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      // Both uses for every role: agents are servers of the peer port and clients of the controller.
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(subject)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return pemText(certificate.toString('pem'))
}

/** Key and certificate in one go, for the host that holds the authority (and for tests). */
export async function createIdentity(
  authority: Authority,
  subject: Subject,
  now: number,
  days: number,
): Promise<Identity> {
  const { privateKeyPem, requestPem } = await createRequest(subject.name)
  const certificatePem = await signRequest(authority, requestPem, subject, now, days)
  return { certificatePem, privateKeyPem, authorityPem: authority.certificatePem }
}

/** SHA-256 of the DER form, lower-case hex: what a join token carries of the authority. */
export function fingerprint(certificatePem: string): string {
  return createHash('sha256').update(readCertificate(certificatePem).raw).digest('hex')
}

/** Who a certificate is for and how long. Errors: `bad-input` when it is none of ours. */
export function describeCertificate(certificatePem: string): CertificateDescription {
  const certificate = readCertificate(certificatePem)
  const subject = readSubject(certificate.toLegacyObject())
  if (subject === undefined) {
    throw new LifeboatError('bad-input', 'the certificate names no role of Lifeboat')
  }
  return {
    ...subject,
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  }
}

/**
 * Name and role of a parsed certificate; undefined: not one of ours. A subject with several CN or OU comes as arrays;
 * our authority makes none, so such a one is nobody.
 */
export function readSubject(certificate: PeerCertificate): { name: string; role: Role } | undefined {
  const name: unknown = certificate.subject?.CN
  const role: unknown = certificate.subject?.OU
  return typeof name === 'string' && name !== '' && isRole(role) ? { name, role } : undefined
}

function isRole(text: unknown): text is Role {
  return typeof text === 'string' && ROLES.includes(text)
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new LifeboatError('bad-input', 'not a certificate in PEM form', { cause: error })
  }
}

async function readRequest(x509: X509, requestPem: string) {
  try {
    const request = new x509.Pkcs10CertificateRequest(requestPem)
    if (await request.verify()) return request.publicKey
  } catch (error) {
    throw new LifeboatError('bad-input', 'not a certificate request in PEM form', { cause: error })
  }
  throw new LifeboatError('bad-input', 'the certificate request is not signed by its own key')
}

function alternativeNames(subject: Subject): { type: 'ip' | 'dns'; value: string }[] {
  const names = [{ type: 'dns' as const, value: subject.name }]
  const others = (subject.addresses ?? []).filter(address => address !== subject.name)
  return [
    ...names,
    ...others.map(address => ({
      type: isIpAddress(address) ? ('ip' as const) : ('dns' as const),
      value: address,
    })),
  ]
}

function isIpAddress(text: string): boolean {
  return /^\d+\.\d+\.\d+\.\d+$/.test(text) || text.includes(':')
}

async function generateKeys() {
  return await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
}

async function exportKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  return await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])
}

function randomSerial(): string {
  const bytes = Buffer.from(webcrypto.getRandomValues(new Uint8Array(16)))
  // Positive and without a leading zero byte in DER, which some verifiers refuse.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

function pemText(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`
}
