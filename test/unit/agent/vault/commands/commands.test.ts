import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, type TestContext, test } from 'node:test'
import { createInlineTransfer } from '../../../../../agent/backup/transfer/inline-transfer.ts'
import { adaptDomainXml } from '../../../../../agent/hypervisor/adapt-definition.ts'
import type { Hypervisor } from '../../../../../agent/hypervisor/hypervisor.ts'
import { createHostVolumes } from '../../../../../agent/storage/volumes-host.ts'
import type { VaultCommandContext } from '../../../../../agent/vault/commands/context.ts'
import { exitCodeOf } from '../../../../../agent/vault/commands/exit-codes.ts'
import { fileName } from '../../../../../agent/vault/commands/export.ts'
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
async function vault(
  ...words: readonly string[]
): Promise<{ out: string; notes: string; error: string; exitCode: number }> {
  const out: string[] = []
  const notes: string[] = []
  let exitCode = 0
  const { clock } = bench
  const ids = { next: () => randomUUID() }
  const context: VaultCommandContext = {
    print: text => out.push(text),
    note: text => notes.push(text),
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
    return { out: out.join('\n'), notes: notes.join('\n'), error: '', exitCode }
  } catch (error) {
    const exitCode = exitCodeOf(error)
    return { out: out.join('\n'), notes: notes.join('\n'), error: formatErrorChain(error), exitCode }
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
  assert.match(
    restored.notes,
    /cannot ask the fleet: if web01 still runs elsewhere, .*: use --name for a copy$/,
  )
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
    '--start',
    '--vault',
    bench.vault,
  )
  assert.equal(restored.error, '')
  assert.equal(restored.notes, '')
  assert.deepEqual(readFileSync(disk), before)
  assert.deepEqual(readFileSync(join(bench.folder, 'web02-vda.raw')), before)
  const [definition = ''] = bench.defined
  assert.match(definition, /<name>web02<\/name>/)
  assert.ok(!definition.includes(WEB01) && !definition.includes('52:54:00:12:34:56'), definition)
  assert.ok(bench.started.length === 1 && !bench.started.includes(WEB01))
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

test('verify calls no restore point whole whose manifest or index is gone, and says which it is', async () => {
  await addWeb01()
  const folder = join(bench.vault, 'points', WEB01, '20261128T020512Z')
  const verify = (...words: string[]) =>
    vault('verify', `${WEB01}@20261128T020512Z`, '--vault', bench.vault, ...words)
  const manifest = readFileSync(join(folder, 'manifest.json'), 'utf8')
  writeFileSync(join(folder, 'manifest.json'), manifest.replace('"version": 1', '"version": 2'))
  const newer = await verify()
  assert.equal(newer.exitCode, 1)
  assert.match(
    newer.out,
    /^web01@20261128T020512Z is unreadable: the manifest has version 2, .*: upgrade it$/,
  )
  rmSync(join(folder, 'manifest.json'))
  const { exitCode, out } = await verify('--output', 'json')
  assert.equal(exitCode, 1)
  const { chunks, problems } = JSON.parse(out)
  assert.deepEqual({ chunks, problems }, { chunks: 3, problems: ['it is unreadable: it has no manifest'] })
  writeFileSync(join(folder, 'manifest.json'), manifest)
  rmSync(join(folder, 'vda.caibx'))
  assert.match(
    (await verify()).out,
    /^web01@20261128T020512Z is damaged: the index of vda .* cannot be used: it is gone; nothing is collected/,
  )
})

test('a word with an @ that names neither a VM nor a restore point is bad input', async () => {
  await addWeb01()
  for (const command of ['list', 'show']) {
    const { error, exitCode } = await vault(command, 'web01@bad', '--vault', bench.vault)
    assert.equal(error, "'web01@bad' names no restore point: VM, or VM@20261128T020512Z")
    assert.equal(exitCode, 2)
  }
  const whole = await vault('list', 'web01@20261128T020512Z', '--vault', bench.vault)
  assert.match(whole.error, /names one restore point, a VM is wanted: web01$/)
  await vault('add', 'web01@bad', makeDisk('other.raw'), '--vault', bench.vault)
  assert.match((await vault('list', 'web01@bad', '--vault', bench.vault)).out, /^web01@bad /m)
  assert.match((await vault('show', 'web01@bad', '--vault', bench.vault)).out, /^web01@bad@2026/)
})

/** Each write takes at most so many bytes, as on a disk that is nearly full. */
async function shortenWrites(t: TestContext, most: number): Promise<void> {
  const probe = await open(bench.folder)
  await probe.close()
  const handles: FileHandle = Object.getPrototypeOf(probe)
  const write = handles.write
  t.mock.method(
    handles,
    'write',
    function (this: FileHandle, bytes: Buffer, from: number, length: number, at: number) {
      return Reflect.apply(write, this, [bytes, from, Math.min(length, most), at])
    },
  )
}

test('extract writes all of an image though the disk takes it in parts, and ends when it takes nothing', async t => {
  const disk = await addWeb01()
  const index = join(bench.vault, 'points', WEB01, '20261128T020512Z', 'vda.caibx')
  const to = join(bench.folder, 'out.raw')
  const extract = () => vault('extract', index, '--store', join(bench.vault, 'store'), '--to', to)
  await shortenWrites(t, 100_000)
  assert.equal((await extract()).error, '')
  assert.deepEqual(readFileSync(to), readFileSync(disk))
  const again = await extract()
  assert.equal(again.error, `${to} is there already`)
  assert.equal(again.exitCode, 1)
  rmSync(to)
  await shortenWrites(t, 0)
  assert.match(
    (await extract()).error,
    /cannot write .*out\.raw at byte \d+: its file system takes no more: df -h/,
  )
  assert.ok(!existsSync(to))
})

test('an export stays in its directory, whatever a manifest says', () => {
  assert.equal(fileName('web01'), 'web01')
  assert.equal(fileName('../../etc/evil'), 'evil')
  assert.throws(() => fileName('/'), /'\/' of the manifest cannot be the name of a file/)
})

test('what the kernel or SQLite says comes with what to do, and without its own words', async () => {
  const disk = await addWeb01()
  const gone = join(bench.folder, 'nothing.raw')
  assert.equal(
    (await vault('add', 'web01', gone, '--vault', bench.vault)).error,
    `cannot read the disk ${gone}: it is not there, or its directory is not: ls -l ${bench.folder}`,
  )
  assert.match(
    (await vault('export', 'web01', '--to', join(disk, 'out.raw'), '--vault', bench.vault)).error,
    /^cannot look for .*: a part of its path is no directory: ls -ld /,
  )
  const { clock } = bench
  const ids = { next: () => randomUUID() }
  const writer = openVaultStore({ dir: bench.vault, clock, ids, log: silentLogger, run, access: 'write' })
  const { error } = await vault('scrub', '--vault', bench.vault)
  await writer.close()
  assert.match(error, /another process writes to this vault .*: systemctl stop lifeboat-vault$/)
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
