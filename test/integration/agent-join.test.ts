import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { joinFleet } from '../../agent/join.ts'
import { readIdentity } from '../../agent/session/identity-file.ts'
import { EnrolmentService, type JoinRequest } from '../../proto/gen/lifeboat/v1/intake.ts'
import { systemClock } from '../../shared/clock.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { silentLogger } from '../../shared/log.ts'
import {
  type Authority,
  createAuthority,
  createIdentity,
  fingerprint,
  type Subject,
  signRequest,
} from '../../shared/rpc/certificates.ts'
import {
  createServer,
  createServerCredentials,
  rpcService,
  serve,
  stopServer,
} from '../../shared/rpc/endpoint.ts'
import { formatJoinToken, type JoinToken } from '../../shared/rpc/join-token.ts'

let dir: string
let authority: Authority
let address: string
let asked: JoinRequest[]
let stop: () => Promise<void>

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lbj-'))
  authority = await createAuthority(systemClock.now())
  asked = []
  const enrolment = rpcService(EnrolmentService, {
    getAuthority: () => ({ authorityPem: authority.certificatePem }),
    join: async request => {
      asked.push(request)
      const asVault = request.secret === 'vault sesame'
      if (!asVault && request.secret !== 'open sesame')
        throw new LifeboatError('not-authenticated', 'the token was used already')
      const subject: Subject = asVault ? { name: 'depot', role: 'vault' } : { name: 'blade01', role: 'blade' }
      const certificatePem = await signRequest(
        authority,
        request.certificateRequestPem,
        subject,
        systemClock.now(),
        30,
      )
      return { blade: subject.name, certificatePem, authorityPem: authority.certificatePem }
    },
  })
  const server = createServer([enrolment], { log: silentLogger, authorise: () => {} })
  const subject = { name: 'controller', role: 'controller' } as const
  const identity = await createIdentity(authority, subject, systemClock.now(), 30)
  const [port] = await serve(server, [
    { address: '127.0.0.1:0', credentials: createServerCredentials(identity) },
  ])
  address = `127.0.0.1:${port}`
  stop = () => stopServer(server, 100, systemClock)
})
afterEach(async () => {
  await stop()
  rmSync(dir, { recursive: true, force: true })
})

function token(change: Partial<JoinToken> = {}): string {
  return formatJoinToken({
    blade: 'blade01',
    secret: 'open sesame',
    authority: fingerprint(authority.certificatePem),
    expiresAt: systemClock.now() + HOUR_MS,
    ...change,
  })
}
const attempt = (text: string, force = false) =>
  joinFleet({ role: 'blade', controller: address, token: text, stateDir: dir, force, clock: systemClock })

test('a token is traded for an identity, once; joining again needs --force', async () => {
  assert.equal((await attempt(token())).blade, 'blade01')
  const written = await readIdentity(dir)
  assert.equal(written?.controller, address)
  assert.equal(written?.identity.authorityPem, authority.certificatePem)
  await assert.rejects(attempt(token()), /already joined as blade01.*--force/)
  await attempt(token(), true)
})

test('a server of another authority is never sent the secret', async () => {
  await assert.rejects(attempt(token({ authority: 'a'.repeat(64) })), { code: 'not-authenticated' })
  assert.deepEqual(asked, [])
})

test('a used token joins nothing and leaves no identity behind', async () => {
  await assert.rejects(attempt(token({ secret: 'used' })), {
    code: 'not-authenticated',
    message: /used already/,
  })
  assert.equal(await readIdentity(dir), undefined)
})

test('an expired token is told apart before anything is sent', async () => {
  await assert.rejects(attempt(token({ expiresAt: 1 })), {
    code: 'not-authenticated',
    message: /expired.*clock/,
  })
  assert.deepEqual(asked, [])
})

test('a controller that does not answer is named, with what to look at', async () => {
  await stop()
  await assert.rejects(attempt(token()), /cannot be reached: is lifeboat-controller running/)
})

test('a vault joins the same way; a token typed into the wrong program is refused before its secret is sent', async () => {
  const role = 'vault' as const
  await assert.rejects(attempt(token({ role })), { code: 'bad-input', message: /lifeboat-vault join/ })
  const options = { role, controller: address, stateDir: dir, force: false, clock: systemClock }
  await assert.rejects(joinFleet({ ...options, token: token() }), {
    code: 'bad-input',
    message: /lifeboat-agent join/,
  })
  assert.deepEqual(asked, [])
  const joined = await joinFleet({
    ...options,
    token: token({ role, blade: 'depot', secret: 'vault sesame' }),
  })
  assert.deepEqual([joined.blade, (await readIdentity(dir))?.blade], ['depot', 'depot'])
})
