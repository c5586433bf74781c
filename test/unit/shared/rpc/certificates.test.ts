import assert from 'node:assert/strict'
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto'
import { before, test } from 'node:test'
import {
  type Authority,
  createAuthority,
  createIdentity,
  createRequest,
  describeCertificate,
  fingerprint,
  signRequest,
} from '../../../../shared/rpc/certificates.ts'

const NOW = Date.UTC(2030, 0, 1)
const DAY_MS = 86_400_000

let authority: Authority
before(async () => {
  authority = await createAuthority(NOW)
})

test('an identity is certified by its authority, for its name, its role and its addresses', async () => {
  const subject = {
    name: 'controller',
    role: 'controller',
    addresses: ['10.0.0.5', 'depot.lab', 'fd00::5'],
  } as const
  const identity = await createIdentity(authority, subject, NOW, 365)
  const certificate = new X509Certificate(identity.certificatePem)
  assert.ok(certificate.verify(new X509Certificate(authority.certificatePem).publicKey))
  assert.ok(certificate.checkPrivateKey(createPrivateKey(identity.privateKeyPem)))
  assert.equal(certificate.checkHost('controller'), 'controller')
  assert.equal(certificate.checkHost('depot.lab'), 'depot.lab')
  assert.equal(certificate.checkIP('10.0.0.5'), '10.0.0.5')
  assert.equal(certificate.checkIP('fd00::5'), 'fd00::5')
  assert.equal(certificate.checkHost('blade01'), undefined)
  assert.equal(certificate.ca, false)
  assert.deepEqual(describeCertificate(identity.certificatePem), {
    name: 'controller',
    role: 'controller',
    notBefore: NOW - DAY_MS,
    notAfter: NOW + 365 * DAY_MS,
  })
})

test('the authority lasts twenty years and is no Lifeboat peer itself', () => {
  const certificate = new X509Certificate(authority.certificatePem)
  assert.ok(certificate.ca)
  assert.ok(certificate.validToDate.getTime() >= NOW + 20 * 364 * DAY_MS)
  assert.throws(() => describeCertificate(authority.certificatePem), { code: 'bad-input' })
})

test('a request for another name gets the name the authority chose', async () => {
  const { requestPem } = await createRequest('controller')
  const pem = await signRequest(authority, requestPem, { name: 'blade02', role: 'blade' }, NOW, 30)
  const { name, role } = describeCertificate(pem)
  assert.deepEqual([name, role], ['blade02', 'blade'])
  assert.equal(new X509Certificate(pem).checkHost('controller'), undefined)
})

test('a name cannot smuggle a role or another name into the subject', async () => {
  const { requestPem } = await createRequest('x')
  const subject = { name: 'blade02,OU=admin+CN=controller', role: 'blade' } as const
  const pem = await signRequest(authority, requestPem, subject, NOW, 30)
  assert.equal(describeCertificate(pem).role, 'blade')
  assert.equal(describeCertificate(pem).name, 'blade02,OU=admin+CN=controller')
})

test('what is no request, or a changed one, is refused', async () => {
  const subject = { name: 'blade02', role: 'blade' } as const
  await assert.rejects(signRequest(authority, 'hello', subject, NOW, 30), { code: 'bad-input' })
  const { requestPem } = await createRequest('blade02')
  const der = Buffer.from(requestPem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  // A byte of the subject: the request stays readable, but its own key did not sign it so.
  const place = der.indexOf('blade02')
  der[place] = 'g'.charCodeAt(0)
  const forged = `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`
  await assert.rejects(signRequest(authority, forged, subject, NOW, 30), {
    code: 'bad-input',
    message: /not signed by its own key/,
  })
})

test('the fingerprint is the SHA-256 of the certificate itself', () => {
  const der = Buffer.from(authority.certificatePem.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64')
  assert.equal(fingerprint(authority.certificatePem), createHash('sha256').update(der).digest('hex'))
  assert.throws(() => fingerprint('hello'), { code: 'bad-input' })
})
