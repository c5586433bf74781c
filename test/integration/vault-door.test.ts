import assert from 'node:assert/strict'
import { createCipheriv, hash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { connect as connectHttp2 } from 'node:http2'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { connectVault } from '../../agent/vault/client/connection.ts'
import { createVaultClient } from '../../agent/vault/client/vault-client.ts'
import type { VaultStore } from '../../agent/vault/store/vault-store.ts'
import type { Chunk } from '../../agent/vault/vault.ts'
import { systemClock } from '../../shared/clock.ts'
import { createAuthority, createIdentity } from '../../shared/rpc/certificates.ts'
import { createManualClock } from '../fakes/manual-clock.ts'
import { until } from '../fakes/until.ts'
import {
  backUp,
  beginBackup,
  draftOf,
  indexOf,
  makeChunk,
  makeVaultDir,
  sendChunks,
  type VaultDir,
  vmId,
} from '../fakes/vault-dir.ts'
import { type OpenDoor, openDoor } from '../fakes/vault-door.ts'

const BACKUP = { seeds: [1, 2, 3] }
const REF = { vmId: vmId(1), point: draftOf(BACKUP).point }

let place: VaultDir
let store: VaultStore
const doors: OpenDoor[] = []

beforeEach(() => {
  place = makeVaultDir()
  store = place.open()
})

afterEach(async () => {
  for (const door of doors.splice(0)) await door.close()
  await store.close()
  place.remove()
})

async function open(options?: Parameters<typeof openDoor>[1]): Promise<OpenDoor> {
  const door = await openDoor(store, options)
  doors.push(door)
  return door
}

test('only blades of this fleet come in, and each refusal is a line that says who and from where', async () => {
  const door = await open()
  const admin = await door.identity('root', 'admin')
  const asAdmin = createVaultClient({ ...(await door.clientOptions('x')), identity: () => admin })
  await assert.rejects(asAdmin.points(), { code: 'not-allowed' })
  const other = await createIdentity(
    await createAuthority(systemClock.now()),
    { name: 'blade03', role: 'blade' },
    systemClock.now(),
    30,
  )
  // It trusts the vault, but the vault has no reason to trust it.
  const stranger = { ...other, authorityPem: admin.authorityPem }
  const asStranger = createVaultClient({ ...(await door.clientOptions('x')), identity: () => stranger })
  await assert.rejects(asStranger.points(), { code: 'not-authenticated' })
  assert.equal(door.log.length, 2)
  for (const line of door.log)
    assert.match(line, /refused or broken from=127\.0\.0\.1 who=nobody what=\/v1\/points/)
})

test('a check is quick when that is asked for by its word; without it, or with another, it is a full one', async () => {
  const door = await open()
  const { name, address, identity, clock } = await door.clientOptions('blade03')
  await backUp(
    store.visibleTo('blade03', () => false),
    BACKUP,
  )
  const connection = await connectVault({ name, address }, identity(), clock)
  const isNoted = async (last: string): Promise<boolean> => {
    rmSync(join(place.dir, 'points', REF.vmId, REF.point, 'checked.json'), { force: true })
    const lines: string[] = []
    const path = `check/${REF.vmId}/${REF.point}${last}`
    await connection.request(path, { limitMs: 60_000, onLine: line => lines.push(line) })
    assert.match(lines.at(-1) ?? '', /"report":\{"chunks":3,"bad":\[\]/)
    return (await store.summary(REF)).checkedAt > 0
  }
  try {
    assert.equal(await isNoted(''), true)
    assert.equal(await isNoted('/quick'), false)
    assert.equal(await isNoted('/a-word-of-tomorrow'), true)
  } finally {
    connection.close()
  }
})

test('a client speaks only to the vault it was told of', async () => {
  const door = await open()
  const options = await door.clientOptions('blade03')
  await assert.rejects(createVaultClient({ ...options, name: 'attic' }).points(), {
    code: 'not-authenticated',
    message: /is not attic/,
  })
  await door.close()
  await assert.rejects(createVaultClient(options).points(), {
    code: 'unavailable',
    message: `vault ${options.name} does not answer at ${options.address}: connection refused; since when: \`lifeboat vault status ${options.name}\``,
  })
})

test('a server of another role, though of this fleet, is no vault', async () => {
  const door = await open()
  door.renew(await door.identity('depot', 'blade'))
  await assert.rejects(createVaultClient(await door.clientOptions('blade03')).points(), {
    code: 'not-authenticated',
    message: /no vault/,
  })
})

test('another blade sees a restore point when it is granted, and it reads as absent before', async () => {
  let granted = ''
  const door = await open({ isGranted: (_, blade) => blade === granted })
  await backUp(createVaultClient(await door.clientOptions('blade03')), BACKUP)
  const other = createVaultClient(await door.clientOptions('blade04'))
  assert.deepEqual(await other.points(), [])
  await assert.rejects(other.chunks(REF, [makeChunk(1).id]), { code: 'not-found' })
  granted = 'blade04'
  assert.deepEqual(await other.chunks(REF, [makeChunk(1).id]), [makeChunk(1)])
})

test('a backup ends with its connection: nothing is listed, its place is free, and it can be made again', async () => {
  const door = await open()
  const vault = createVaultClient(await door.clientOptions('blade03'))
  await sendChunks(await beginBackup(vault, BACKUP), BACKUP.seeds)
  assert.equal((await store.status()).sessions, 1)
  await vault.close()
  await until('the session has ended', async () => (await store.status()).sessions === 0)
  assert.deepEqual(await store.points(), [])
  // The same client connects anew.
  await backUp(vault, BACKUP)
  assert.equal((await store.points()).length, 1)
})

test('a backup that only reads for long keeps its place, and one that says nothing loses it', async () => {
  const door = await open()
  const talker = await beginBackup(createVaultClient(await door.clientOptions('blade03')), BACKUP)
  const silent = await beginBackup(createVaultClient(await door.clientOptions('blade07')), BACKUP)
  for (let minute = 0; minute < 12; minute += 4) {
    assert.deepEqual(await talker.missing([]), [])
    await place.clock.advance(4 * 60_000)
  }
  await store.status()
  await until('one of them is ended', async () => (await store.status()).sessions === 1)
  await assert.rejects(silent.put([makeChunk(1)]), { code: 'aborted' })
  await talker.put([makeChunk(1)])
})

test('a published backup outlives its connection, and publishing it again is no error', async () => {
  const door = await open()
  const vault = createVaultClient(await door.clientOptions('blade03'))
  const session = await beginBackup(vault, BACKUP)
  await sendChunks(session, BACKUP.seeds)
  const listed = await session.publish(draftOf(BACKUP))
  assert.deepEqual(await session.publish(draftOf(BACKUP)), listed)
  await vault.close()
  await door.close()
  assert.equal((await store.points()).length, 1)
})

test('what the vault throws comes out at the other end with code, message and details', async () => {
  const door = await open()
  const vault = createVaultClient(await door.clientOptions('blade03'))
  const session = await beginBackup(vault, BACKUP)
  const bad = { id: makeChunk(1).id, frame: Buffer.from('this is no zstd frame') }
  await assert.rejects(session.put([bad]), { code: 'bad-input', message: /no zstd frame/ })
  await assert.rejects(session.putIndex('../x', indexOf([1])), { code: 'bad-input' })
  const { disks, ...rest } = draftOf(BACKUP)
  await assert.rejects(
    session.publish({ ...rest, disks: [] }),
    (error: { code: string; details: string[] }) => {
      assert.equal(error.code, 'bad-input')
      assert.match(error.details.join(), /disks/)
      return true
    },
  )
  // The connection is as good as before.
  await session.put([makeChunk(1)])
  assert.deepEqual(await session.missing([makeChunk(1).id]), [])
})

test('many questions beside large bodies: every answer comes whole', async () => {
  const door = await open()
  const vault = createVaultClient(await door.clientOptions('blade03'))
  const session = await beginBackup(vault, BACKUP)
  const chunks = Array.from({ length: 24 }, (_, seed) => makeNoise(seed))
  const bodies = [chunks.slice(0, 8), chunks.slice(8, 16), chunks.slice(16)].map(part => session.put(part))
  const unknown = Array.from({ length: 16 }, (_, seed) => makeChunk(1000 + seed).id)
  const asking = Array.from({ length: 30 }, async () => {
    for (let times = 0; times < 8; times++) assert.deepEqual(await session.missing(unknown), unknown)
  })
  await Promise.all([...bodies, ...asking])
  assert.deepEqual(await session.missing(chunks.map(({ id }) => id)), [])
})

test('a request of a later Lifeboat is told so', async () => {
  const door = await open()
  const identity = await door.identity('blade03')
  const session = connectHttp2(`https://${door.address}`, {
    ca: identity.authorityPem,
    cert: identity.certificatePem,
    key: identity.privateKeyPem,
    servername: 'depot',
  })
  const answer = await new Promise<string>((resolve, reject) => {
    const stream = session.request({ ':path': '/v2/points' }).setEncoding('utf8')
    let text = ''
    stream.on('data', piece => {
      text += piece
    })
    stream.once('error', reject)
    stream.once('close', () => resolve(text))
  })
  session.destroy()
  assert.equal(JSON.parse(answer).error.code, 'version-mismatch')
})

test('a new certificate is used by connections that come after it', async () => {
  const door = await open()
  const vault = createVaultClient(await door.clientOptions('blade03'))
  assert.deepEqual(await vault.points(), [])
  door.renew(await door.identity('attic', 'vault'))
  assert.deepEqual(await vault.points(), [])
  await vault.close()
  await assert.rejects(vault.points(), { code: 'not-authenticated' })
})

test('a network that was cut is noticed at both ends within fifteen seconds', async () => {
  const clock = createManualClock()
  const door = await open({ clock })
  const wire = await openWire(door.port)
  const vault = createVaultClient({ ...(await door.clientOptions('blade03')), address: wire.address })
  const session = await beginBackup(vault, BACKUP)
  await session.missing([makeChunk(1).id])
  wire.cut()
  const asked = session.missing([makeChunk(2).id])
  asked.catch(() => {})
  // Pings are sent every 5 s, and waited for 9 s.
  await clock.advance(5000)
  await clock.advance(9500)
  await assert.rejects(asked, { code: 'unavailable' })
  await until('the vault has ended the backup', async () => (await store.status()).sessions === 0)
  wire.close()
})

/** Half a megabyte that does not pack. */
function makeNoise(seed: number): Chunk {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, seed), Buffer.alloc(16))
  const bytes = cipher.update(Buffer.alloc(512 * 1024))
  return {
    id: hash('sha256', bytes, 'hex'),
    frame: zstdCompressSync(bytes, { pledgedSrcSize: bytes.length }),
  }
}

/** A wire between two ends that can be cut without either being told. */
async function openWire(port: number) {
  const sockets: Socket[] = []
  const server = createServer({ pauseOnConnect: false }, near => {
    const far = connect(port, '127.0.0.1')
    sockets.push(near, far)
    near.pipe(far)
    far.pipe(near)
    for (const socket of [near, far]) socket.on('error', () => {})
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      for (const socket of sockets) {
        socket.unpipe()
        socket.pause()
      }
    },
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
