import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { createInlineTransfer } from '../../../../../agent/backup/transfer/inline-transfer.ts'
import { adaptDomainXml } from '../../../../../agent/hypervisor/adapt-definition.ts'
import type { Hypervisor } from '../../../../../agent/hypervisor/hypervisor.ts'
import { createHostVolumes } from '../../../../../agent/storage/volumes-host.ts'
import type { VaultCommandContext } from '../../../../../agent/vault/commands/context.ts'
import { createVaultProgram, prepareProgram } from '../../../../../agent/vault/commands/program.ts'
import { chunkPath } from '../../../../../agent/vault/format/chunk.ts'
import { parseIndex } from '../../../../../agent/vault/format/index.ts'
import { openVaultStore } from '../../../../../agent/vault/store/vault-store.ts'
import { formatErrorChain, LifeboatError } from '../../../../../shared/errors.ts'
import type { CommandRunner } from '../../../../../shared/exec.ts'
import { silentLogger } from '../../../../../shared/log.ts'
import { createManualClock, type ManualClock } from '../../../../fakes/manual-clock.ts'
import { FIRST_NIGHT, idleRunner, spoilChunk } from '../../../../fakes/vault-dir.ts'

const WEB01 = '5d1f3a60-1111-4a4a-8a8a-000000000001'
const CHUNK_BYTES = 512 * 1024

interface Bench {
  readonly folder: string
  readonly vault: string
  readonly clock: ManualClock
  /** What libvirt has: name → id. */
  readonly domains: Map<string, string>
  readonly defined: string[]
  readonly started: string[]
  failDefine: boolean
}

let bench: Bench
beforeEach(() => {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-vault-commands-'))
  mkdirSync(join(folder, 'images'))
  bench = {
    folder,
    vault: join(folder, 'vault'),
    clock: createManualClock(FIRST_NIGHT),
    domains: new Map(),
    defined: [],
    started: [],
    failDefine: false,
  }
})
afterEach(() => rmSync(bench.folder, { recursive: true, force: true }))

/** virsh, and the two commands of a vault without effect. */
const run: CommandRunner = {
  ...idleRunner,
  run: async argv => {
    const list = [...bench.domains].map(([name, id]) => `${id} ${name}\n`).join('')
    return { stdout: argv[0] === 'virsh' ? list : '', stderr: '', exitCode: 0, durationMs: 0 }
  },
}

function fakeHypervisor(): Hypervisor {
  const own: Partial<Hypervisor> = {
    adaptDefinition: (text, changes) => adaptDomainXml(text, changes, ''),
    define: async text => {
      if (bench.failDefine)
        throw new LifeboatError('command-failed', 'virsh exited with 1: no such machine type')
      bench.defined.push(text)
    },
    start: async id => void bench.started.push(id),
  }
  return own as Hypervisor
}

/** Runs one command line; what it printed, or its error as a person would read it. */
async function vault(...words: readonly string[]): Promise<{ out: string; error: string; exitCode: number }> {
  const out: string[] = []
  let exitCode = 0
  const { clock } = bench
  const ids = { next: () => randomUUID() }
  const context: VaultCommandContext = {
    print: text => out.push(text),
    note: () => {},
    progress: () => {},
    json: () => words.includes('json'),
    exitWith: code => {
      exitCode = code
    },
    interrupted: new AbortController().signal,
    clock,
    ids,
    log: silentLogger,
    run,
    transfer: createInlineTransfer({
      openVault: job => {
        assert.equal(job.vault.kind, 'directory')
        const dir = job.vault.kind === 'directory' ? job.vault.path : ''
        const access = job.kind === 'backup' ? 'write' : 'read'
        return openVaultStore({ dir, clock, ids, log: silentLogger, run, access, trusted: true })
      },
      clock,
      threads: 2,
      warn: () => {},
    }),
    hypervisor: fakeHypervisor,
    volumes: directories =>
      createHostVolumes({ run, clock, log: silentLogger, directories: () => directories }),
  }
  const program = createVaultProgram(context)
  prepareProgram(program, 'lifeboat-vault')
  try {
    await program.parseAsync(['node', 'lifeboat-vault', ...words])
    return { out: out.join('\n'), error: '', exitCode }
  } catch (error) {
    return { out: out.join('\n'), error: formatErrorChain(error), exitCode: 1 }
  }
}

/** Data, a hole, data that is no whole chunk. */
function makeDisk(name: string): string {
  const path = join(bench.folder, name)
  writeFileSync(
    path,
    Buffer.concat([randomBytes(CHUNK_BYTES), Buffer.alloc(3 * CHUNK_BYTES), randomBytes(5000)]),
  )
  return path
}

function makeDefinition(name: string, disk: string): string {
  const path = join(bench.folder, `${name}.xml`)
  writeFileSync(
    path,
    `<domain type='kvm'><name>${name}</name><uuid>${WEB01}</uuid><memory unit='MiB'>64</memory><vcpu>1</vcpu>
    <devices>
      <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${disk}'/><target dev='vda' bus='virtio'/></disk>
      <interface type='bridge'><mac address='52:54:00:12:34:56'/><source bridge='br0'/></interface>
    </devices></domain>`,
  )
  return path
}

async function addWeb01(): Promise<string> {
  const disk = makeDisk('web01.raw')
  const definition = makeDefinition('web01', disk)
  const added = await vault('add', 'web01', disk, '--definition', definition, '--vault', bench.vault)
  assert.equal(added.error, '')
  return disk
}

test('a disk goes in by hand, is listed, and comes out byte for byte', async () => {
  const disk = makeDisk('web01.raw')
  const added = await vault('add', 'web01', disk, '--vault', bench.vault)
  assert.match(added.out, /^web01@20261128T020512Z is listed/)
  assert.match((await vault('list', '--vault', bench.vault)).out, /web01 +20261128T020512Z .* whole/)
  assert.match(
    (await vault('show', 'web01', '--vault', bench.vault)).out,
    /definition {3}none: export its disks/,
  )
  const to = join(bench.folder, 'out.raw')
  await vault('export', 'web01', '--to', to, '--vault', bench.vault)
  assert.deepEqual(readFileSync(to), readFileSync(disk))
  assert.match((await vault('export', 'web01', '--to', to, '--vault', bench.vault)).error, /is there already/)
  assert.deepEqual(
    readdirSync(bench.folder).filter(name => name.startsWith('.lifeboat')),
    [],
  )
})

test('a second night of the same disk is the same VM and adds nothing', async () => {
  const disk = await addWeb01()
  await bench.clock.advance(86_400_000)
  await vault('add', 'web01', disk, '--vault', bench.vault)
  const points = JSON.parse((await vault('list', '--vault', bench.vault, '-o', 'json')).out)
  assert.deepEqual(
    points.map((point: { vmId: string; manifest: { figures: { storedBytes: number } } }) => [
      point.vmId,
      point.manifest.figures.storedBytes === 0,
    ]),
    [
      [WEB01, true],
      [WEB01, false],
    ],
  )
})

test('what is no disk, or belongs to another definition, is refused before anything is read', async () => {
  const disk = makeDisk('web01.raw')
  const definition = makeDefinition('web01', disk)
  const add = async (...words: string[]) => (await vault('add', ...words, '--vault', bench.vault)).error
  assert.match(
    await add('web01', join(bench.folder, 'nothing.raw')),
    /cannot read the disk .*nothing.raw: it is not there/,
  )
  assert.match(await add('web01', bench.folder), /neither a file nor a block device/)
  assert.match(await add('db01', disk, '--definition', definition), /definition is of web01/)
  assert.match(await add('web01', disk, disk, '--definition', definition), /has 1 disks \(vda\), 2 are given/)
  assert.match(await add(WEB01, disk), /give its name with --name/)
  assert.ok(!existsSync(join(bench.vault, 'points', WEB01)))
})

test('a VM comes back under its own name: disks read back, defined, started when asked', async () => {
  const disk = await addWeb01()
  const before = readFileSync(disk)
  rmSync(disk)
  const images = join(bench.folder, 'images')
  const restored = await vault('restore', 'web01', '--images', images, '--start', '--vault', bench.vault)
  assert.equal(restored.error, '')
  assert.match(restored.out, /^web01 \(5d1f3a60-.*\) is defined and runs, as it was at 20261128T020512Z/)
  assert.deepEqual(readFileSync(join(images, 'web01.raw')), before)
  assert.deepEqual(readdirSync(images), ['web01.raw'])
  assert.match(bench.defined[0] ?? '', new RegExp(`<uuid>${WEB01}</uuid>`))
  assert.match(bench.defined[0] ?? '', /images\/web01\.raw/)
  assert.match(bench.defined[0] ?? '', /52:54:00:12:34:56/)
  assert.deepEqual(bench.started, [WEB01])
})

test('a copy gets another name, id and MAC, and leaves the original alone', async () => {
  const disk = await addWeb01()
  bench.domains.set('web01', WEB01)
  const before = readFileSync(disk)
  const restored = await vault(
    'restore',
    'web01',
    '--name',
    'web02',
    '--images',
    bench.folder,
    '--vault',
    bench.vault,
  )
  assert.equal(restored.error, '')
  assert.deepEqual(readFileSync(disk), before)
  assert.deepEqual(readFileSync(join(bench.folder, 'web02-vda.raw')), before)
  const [definition = ''] = bench.defined
  assert.match(definition, /<name>web02<\/name>/)
  assert.ok(!definition.includes(WEB01) && !definition.includes('52:54:00:12:34:56'), definition)
  assert.deepEqual(bench.started, [])
})

test('a name, an id or a file that is taken is refused before anything is made', async () => {
  await addWeb01()
  const images = join(bench.folder, 'images')
  const restore = async (...words: string[]) =>
    (await vault('restore', 'web01', '--images', images, '--vault', bench.vault, ...words)).error
  bench.domains.set('web01', 'aaaaaaaa-1111-4a4a-8a8a-000000000001')
  assert.match(await restore(), /a VM of that name is on this host .* give another --name/)
  bench.domains.clear()
  bench.domains.set('renamed', WEB01)
  assert.match(await restore(), /the VM itself, as renamed, is on this host/)
  bench.domains.clear()
  writeFileSync(join(images, 'web01.raw'), 'somebody else')
  assert.match(await restore(), /is there and belongs to another VM/)
  assert.equal(readFileSync(join(images, 'web01.raw'), 'utf8'), 'somebody else')
  assert.deepEqual(readdirSync(images), ['web01.raw'])
  assert.deepEqual(bench.defined, [])
})

test('a restore that fails leaves nothing behind: from damaged data, or when libvirt refuses the definition', async () => {
  await addWeb01()
  const images = join(bench.folder, 'images')
  const restore = async () =>
    (await vault('restore', 'web01', '--images', images, '--vault', bench.vault)).error
  bench.failDefine = true
  assert.match(await restore(), /no such machine type/)
  assert.deepEqual(readdirSync(images), [])
  bench.failDefine = false
  const index = parseIndex(readFileSync(join(bench.vault, 'points', WEB01, '20261128T020512Z', 'vda.caibx')))
  spoilChunk(bench.vault, index.idAt(0))
  assert.match(await restore(), /damaged|chunk/)
  assert.deepEqual(readdirSync(images), [])
  assert.deepEqual(bench.defined, [])
})

test('verify tells a damaged restore point by its exit code, and scrub names it', async () => {
  await addWeb01()
  assert.equal((await vault('verify', 'web01', '--vault', bench.vault)).exitCode, 0)
  const index = parseIndex(readFileSync(join(bench.vault, 'points', WEB01, '20261128T020512Z', 'vda.caibx')))
  spoilChunk(bench.vault, index.idAt(0))
  const scrubbed = await vault('scrub', '--vault', bench.vault)
  assert.equal(scrubbed.exitCode, 1)
  assert.match(scrubbed.out, /chunk-corrupt: .*web01@20261128T020512Z cannot be restored/)
  assert.match(
    (await vault('export', 'web01', '--to', bench.folder, '--vault', bench.vault)).error,
    new RegExp(`web01 has no whole restore point, of 1: lifeboat-vault list web01 --vault ${bench.vault}`),
  )
  assert.match((await vault('show', 'web01', '--vault', bench.vault)).out, /state +damaged: /)
  const verified = await vault('verify', 'web01@20261128T020512Z', '--vault', bench.vault)
  assert.equal(verified.exitCode, 1)
  assert.match(
    verified.out,
    /is damaged: 1 of 3 chunks are missing or corrupt\n {2}chunk .* does not hold .* cannot be restored until a backup brings it again/,
  )
  assert.ok(!existsSync(join(bench.vault, 'store', chunkPath(index.idAt(0)))))
  rmSync(join(bench.vault, 'store', chunkPath(index.idAt(1))))
  const missing = await vault('verify', 'web01', '--vault', bench.vault)
  assert.match(missing.out, new RegExp(`chunk ${index.idAt(1).slice(0, 12)}… is missing: web01@`))
})

test('prune says what it would do, and does it', async () => {
  const disk = await addWeb01()
  await bench.clock.advance(86_400_000)
  writeFileSync(disk, randomBytes(5000))
  await vault('add', 'web01', disk, '--vault', bench.vault)
  const dry = await vault('prune', '--keep-last', '1', '--dry-run', '--vault', bench.vault)
  assert.match(dry.out, /20261129T020512Z +keep +last 1 of 1, newest whole/)
  assert.match(dry.out, /20261128T020512Z +drop +no rule keeps it/)
  assert.match((await vault('prune', '--keep-last', '1', '--vault', bench.vault)).out, /dropped/)
  assert.match((await vault('gc', '--vault', bench.vault)).out, /^3 chunks \(.*\) removed, 1 kept$/)
})

test('a vault that is not there is told as such, and wrong usage shows the help', async () => {
  assert.match((await vault('list', '--vault', join(bench.folder, 'no'))).error, /is no vault/)
  assert.match(
    (await vault('prune', '--keep-last', 'all', '--vault', bench.vault)).error,
    /a whole number is wanted/,
  )
})
