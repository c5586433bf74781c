import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type ChannelCredentials, credentials, type Server, type ServiceError } from '@grpc/grpc-js'
import {
  AdminClient,
  AdminService,
  BladeList,
  type Operation,
  Operation as OperationMessage,
} from '../../proto/gen/lifeboat/v1/admin.ts'
import {
  EnrolmentClient,
  EnrolmentService,
  IntakeClient,
  IntakeService,
} from '../../proto/gen/lifeboat/v1/intake.ts'
import { systemClock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import {
  type Authority,
  createAuthority,
  createIdentity,
  type Identity,
} from '../../shared/rpc/certificates.ts'
import {
  type CallContext,
  channelOptions,
  createAnonymousChannelCredentials,
  createChannelCredentials,
  createLocalCredentials,
  createServer,
  createServerCredentials,
  type LifeboatServerCredentials,
  type Peer,
  type RpcService,
  rpcService,
  serve,
  stopServer,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { fromStatus } from '../../shared/rpc/status.ts'
import { createRecordingLogger, formatLine } from '../fakes/recording-logger.ts'

const LIMIT = { timeoutMs: 20_000 }
const dir = mkdtempSync(join(tmpdir(), 'lifeboat-rpc-'))
const socketPath = join(dir, 'controller.sock')
const lines: string[] = []
const log = createRecordingLogger('rpc', line => {
  if (line.level === 'warn' || line.level === 'error') lines.push(`${line.level} ${formatLine(line)}`)
})

let authority: Authority
let identity: Identity
let serverCredentials: LifeboatServerCredentials
let server: Server
let port = 0
let lastPeer: Peer | undefined
const closing: { close(): void }[] = []

/** Only what the tests call is there; the rest of the big service answers that it is not. */
function partialService<Definition extends object>(definition: Definition, handlers: object): RpcService {
  const missing = (): never => {
    throw new LifeboatError('internal', 'not part of this test')
  }
  const all = Object.fromEntries(Object.keys(definition).map(name => [name, missing]))
  return { definition: definition as RpcService['definition'], implementation: { ...all, ...handlers } }
}

let streamEnded = Promise.withResolvers<string>()

async function* countOperations(
  request: { id: string },
  { signal }: CallContext,
): AsyncGenerator<Operation, void> {
  try {
    for (let count = 1; request.id === 'endless' || count <= 3; count++) {
      if (request.id === 'broken' && count === 2) throw new LifeboatError('unavailable', 'the source is gone')
      if (signal.aborted) return
      yield OperationMessage.fromPartial({ id: `o${count}`, outcome: 'x'.repeat(10_000) })
    }
  } finally {
    streamEnded.resolve(`after ${signal.aborted ? 'the client left' : 'the last one'}`)
  }
}

const admin = partialService(AdminService, {
  listBlades: (_: unknown, context: CallContext) => {
    lastPeer = context.peer
    return BladeList.fromPartial({ blades: [{ name: context.peer.role }] })
  },
  getVm: ({ name }: { name: string }) => {
    throw new LifeboatError('not-found', `no VM '${name}'`, { details: ['`lifeboat vm list` shows them'] })
  },
  listVms: () => {
    throw new TypeError('cannot read properties of undefined')
  },
  getStatus: () => new Promise(() => {}),
  watchOperation: countOperations,
})
const enrolment = rpcService(EnrolmentService, {
  getAuthority: () => ({ authorityPem: authority.certificatePem }),
  join: request => {
    throw new LifeboatError('not-authenticated', `the token is ${request.secret}`)
  },
})
const intake = rpcService(IntakeService, {
  session: async (stream, context) => {
    for await (const message of stream) {
      if (message.kind?.$case !== 'event') continue
      if (message.kind.value.text === 'break')
        throw new LifeboatError('version-mismatch', 'upgrade the agent')
      stream.write({
        kind: { $case: 'eventReceived', value: { id: `${message.kind.value.id} ${context.peer.name}` } },
      })
    }
  },
  renewCertificate: () => ({ blade: '', certificatePem: '', authorityPem: '' }),
})

/** As the controller does: enrolment for all, intake for blades, administration for admins and the local root. */
function authorise({ method, peer }: CallContext): void {
  if (method.includes('Enrolment')) return
  if (peer.role === 'none') throw new LifeboatError('not-authenticated', 'a client certificate is needed')
  const wanted = method.includes('Intake') ? ['blade'] : ['admin', 'local']
  if (!wanted.includes(peer.role))
    throw new LifeboatError('not-allowed', `${peer.role} may not call ${method}`)
}

function client<C extends { close(): void }>(
  Client: new (address: string, credentials: ChannelCredentials, options: object) => C,
  channel: ChannelCredentials,
  address = `127.0.0.1:${port}`,
  name = 'controller',
): C {
  const made = new Client(address, channel, channelOptions(name))
  closing.push(made)
  return made
}

async function identityOf(
  name: string,
  role: 'blade' | 'admin' | 'controller',
  by = authority,
  now = Date.now(),
) {
  return await createIdentity(by, { name, role }, now, 30)
}

before(async () => {
  authority = await createAuthority(Date.now())
  identity = await identityOf('controller', 'controller')
  serverCredentials = createServerCredentials(identity)
  server = createServer([admin, enrolment, intake], { log, authorise })
  const ports = await serve(server, [
    { address: '127.0.0.1:0', credentials: serverCredentials },
    { address: `unix:${socketPath}`, credentials: createLocalCredentials(), mode: 0o660 },
  ])
  port = ports[0] ?? 0
})

after(async () => {
  for (const made of closing) made.close()
  await stopServer(server, 1000, systemClock)
  rmSync(dir, { recursive: true })
})

test('a certificate of our authority says who calls, by name and role', async () => {
  const caller = await identityOf('kim', 'admin')
  const answer = await unary(client(AdminClient, createChannelCredentials(caller)), 'listBlades', {}, LIMIT)
  assert.deepEqual(
    answer.blades.map(({ name }) => name),
    ['admin'],
  )
  assert.equal(lastPeer?.name, 'kim')
  assert.match(lastPeer?.address ?? '', /^127\.0\.0\.1:\d+$/)
  assert.match(lastPeer?.fingerprint ?? '', /^[0-9a-f]{64}$/)
})

test('the UNIX socket needs no certificate: its file mode says who may', async () => {
  assert.equal(statSync(socketPath).mode & 0o777, 0o660)
  const local = client(AdminClient, credentials.createInsecure(), `unix:${socketPath}`, 'localhost')
  const answer = await unary(local, 'listBlades', {}, LIMIT)
  assert.deepEqual(
    answer.blades.map(({ name }) => name),
    ['local'],
  )
})

const strangers: readonly {
  who: string
  channel: () => Promise<ChannelCredentials>
  code: string
  log: RegExp
}[] = [
  {
    who: 'without a certificate',
    channel: async () => createAnonymousChannelCredentials(authority.certificatePem),
    code: 'not-authenticated',
    log: /request refused .*ListBlades peer= role=none address=127\.0\.0\.1:\d+/,
  },
  {
    who: 'with a certificate of another authority',
    channel: async () => {
      const other = await identityOf('kim', 'admin', await createAuthority(Date.now()))
      return createChannelCredentials({ ...other, authorityPem: authority.certificatePem })
    },
    code: 'not-authenticated',
    log: /request refused .*role=none/,
  },
  {
    who: 'with a certificate that has expired',
    channel: async () => {
      const yearAgo = Date.now() - 365 * 86_400_000
      return createChannelCredentials(await identityOf('kim', 'admin', authority, yearAgo))
    },
    code: 'not-authenticated',
    log: /request refused .*role=none/,
  },
  {
    who: 'with the certificate of a blade',
    channel: async () => createChannelCredentials(await identityOf('blade02', 'blade')),
    code: 'not-allowed',
    log: /request refused .*ListBlades peer=blade02 role=blade/,
  },
]

for (const stranger of strangers) {
  test(`a client ${stranger.who} administers nothing, and the refusal is logged`, async () => {
    lines.length = 0
    const asker = client(AdminClient, await stranger.channel())
    await assert.rejects(unary(asker, 'listBlades', {}, LIMIT), {
      name: 'LifeboatError',
      code: stranger.code,
    })
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', stranger.log)
  })
}

test('nobody becomes local by a header of that name', async () => {
  const { Metadata } = await import('@grpc/grpc-js')
  const asker = client(AdminClient, createAnonymousChannelCredentials(authority.certificatePem))
  const metadata = new Metadata()
  metadata.set('lifeboat-local', 'local')
  const failure = await new Promise<ServiceError | null>(resolve => {
    asker.listBlades({}, metadata, error => resolve(error))
  })
  assert.ok(failure)
  assert.equal(fromStatus(failure).code, 'not-authenticated')
})

test('a client trusts only a server of its authority, under the name it wanted', async () => {
  const caller = await identityOf('kim', 'admin')
  const other = await createAuthority(Date.now())
  const distrusting = createChannelCredentials({ ...caller, authorityPem: other.certificatePem })
  const elsewhere = client(AdminClient, distrusting)
  await assert.rejects(unary(elsewhere, 'listBlades', {}, LIMIT), { code: 'unavailable' })
  const misnamed = client(AdminClient, createChannelCredentials(caller), `127.0.0.1:${port}`, 'blade07')
  await assert.rejects(unary(misnamed, 'listBlades', {}, LIMIT), { code: 'unavailable' })
})

test('before it has a certificate a blade can fetch the authority and nothing else', async () => {
  const asker = client(EnrolmentClient, createAnonymousChannelCredentials())
  const { authorityPem } = await unary(asker, 'getAuthority', {}, LIMIT)
  assert.equal(authorityPem, authority.certificatePem)
  lines.length = 0
  const refused = unary(asker, 'join', { secret: 'used', certificateRequestPem: '', agentVersion: '' }, LIMIT)
  await assert.rejects(refused, { code: 'not-authenticated', message: 'the token is used' })
  assert.match(lines[0] ?? '', /request refused method=\/lifeboat\.v1\.Enrolment\/Join/)
})

async function localAdmin(): Promise<AdminClient> {
  return client(AdminClient, credentials.createInsecure(), `unix:${socketPath}`, 'localhost')
}

test('what a handler throws arrives as it was thrown; a defect is logged at the server', async () => {
  const asker = await localAdmin()
  await assert.rejects(unary(asker, 'getVm', { name: 'größe' }, LIMIT), {
    code: 'not-found',
    message: "no VM 'größe'",
    details: ['`lifeboat vm list` shows them'],
  })
  lines.length = 0
  await assert.rejects(unary(asker, 'listVms', { blade: '' }, LIMIT), { code: 'internal' })
  assert.match(lines[0] ?? '', /^error request failed .*cannot read properties of undefined/)
})

test('a request ends by its time limit and by its signal', async () => {
  const asker = await localAdmin()
  await assert.rejects(unary(asker, 'getStatus', {}, { timeoutMs: 50 }), { code: 'timeout' })
  const stop = new AbortController()
  const asking = unary(asker, 'getStatus', {}, { ...LIMIT, signal: stop.signal })
  stop.abort()
  await assert.rejects(asking, { code: 'aborted' })
  await assert.rejects(unary(asker, 'getStatus', {}, { ...LIMIT, signal: stop.signal }), { code: 'aborted' })
})

test('a stream of answers comes in order, and its error arrives after what came before', async () => {
  const asker = await localAdmin()
  const ids: string[] = []
  for await (const operation of asker.watchOperation({ id: '' })) ids.push((operation as Operation).id)
  assert.deepEqual(ids, ['o1', 'o2', 'o3'])
  const before: string[] = []
  const broken = async () => {
    for await (const operation of asker.watchOperation({ id: 'broken' }))
      before.push((operation as Operation).id)
  }
  await assert.rejects(broken(), error => fromStatus(error as ServiceError).code === 'unavailable')
  assert.deepEqual(before, ['o1'])
})

test('a client that leaves ends the generator at the server', async () => {
  streamEnded = Promise.withResolvers()
  const call = (await localAdmin()).watchOperation({ id: 'endless' })
  call.on('error', () => {})
  await new Promise(resolve => call.once('data', resolve))
  call.cancel()
  assert.equal(await streamEnded.promise, 'after the client left')
})

test('a session talks both ways, and the server can end it with a reason', async () => {
  const blade = client(IntakeClient, createChannelCredentials(await identityOf('blade03', 'blade')))
  const session = blade.session()
  const event = (id: string, text: string) =>
    session.write({ kind: { $case: 'event', value: { id, at: 0, kind: 'vm-changed', vm: '', text } } })
  event('e1', 'ok')
  const [first] = await new Promise<{ kind: unknown }[]>(resolve =>
    session.once('data', data => resolve([data])),
  )
  assert.deepEqual(first?.kind, { $case: 'eventReceived', value: { id: 'e1 blade03' } })
  const end = new Promise<ServiceError>(resolve => session.once('error', resolve))
  event('e2', 'break')
  const error = fromStatus(await end)
  assert.deepEqual([error.code, error.message], ['version-mismatch', 'upgrade the agent'])
})

test('a session that is not allowed is ended at once', async () => {
  const asker = client(IntakeClient, createChannelCredentials(await identityOf('kim', 'admin')))
  const session = asker.session()
  session.on('data', () => {})
  const error = await new Promise<ServiceError>(resolve => session.once('error', resolve))
  assert.equal(fromStatus(error).code, 'not-allowed')
})

test('a renewed certificate serves the next connection without a restart', async () => {
  const renewed = await createIdentity(authority, { name: 'depot', role: 'controller' }, Date.now(), 30)
  const caller = createChannelCredentials(await identityOf('kim', 'admin'))
  serverCredentials.replace(renewed)
  const asker = client(AdminClient, caller, `127.0.0.1:${port}`, 'depot')
  assert.equal((await unary(asker, 'listBlades', {}, LIMIT)).blades.length, 1)
  serverCredentials.replace(identity)
})

test('a port in use is one clear error with the command that shows by whom', async () => {
  const other = createServer([enrolment], { log, authorise })
  const binding = serve(other, [{ address: `127.0.0.1:${port}`, credentials: serverCredentials }])
  await assert.rejects(binding, {
    code: 'unavailable',
    message: `port ${port} is in use: \`ss -ltnp 'sport = :${port}'\` shows by whom`,
  })
})

test('the socket of a living controller is not taken over, that of a dead one is', async () => {
  const other = createServer([enrolment], { log, authorise })
  const local = createLocalCredentials()
  await assert.rejects(serve(other, [{ address: `unix:${socketPath}`, credentials: local }]), {
    code: 'unavailable',
    message: `${socketPath} is in use: another process answers on it`,
  })
  const stale = join(dir, 'stale.sock')
  await leaveStaleSocket(stale)
  const next = createServer([enrolment], { log, authorise })
  await serve(next, [{ address: `unix:${stale}`, credentials: local }])
  const visitor = connect(stale)
  await new Promise(resolve => visitor.once('connect', resolve))
  visitor.destroy()
  await stopServer(next, 0, systemClock)
})

/** A socket file nobody listens on, as a killed process leaves it. */
async function leaveStaleSocket(path: string): Promise<void> {
  const dying = createTcpServer()
  await new Promise<void>(resolve => dying.listen(`${path}.tmp`, resolve))
  const { linkSync } = await import('node:fs')
  linkSync(`${path}.tmp`, path)
  await new Promise(resolve => dying.close(resolve))
  assert.ok(existsSync(path))
}

test('plain text on the TLS port gets nothing', async () => {
  const asker = client(AdminClient, credentials.createInsecure())
  await assert.rejects(unary(asker, 'listBlades', {}, LIMIT), { code: 'unavailable' })
})
