// Bundled and run on a blade: the contract of Snapshots against LVM, libvirt and systemd of this blade.
import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { createLvmSnapshots } from '../../../../agent/backup/lvm/engine.ts'
import type { SnapshotPlan } from '../../../../agent/backup/snapshots.ts'
import { createHostFiles } from '../../../../agent/health/host-files-node.ts'
import { systemClock } from '../../../../shared/clock.ts'
import type { Vm, Volume } from '../../../../shared/domain/fleet.ts'
import type { CommandRecord } from '../../../../shared/domain/operation.ts'
import { MIB } from '../../../../shared/domain/units.ts'
import { createCommandRunner } from '../../../../shared/exec-node.ts'
import { silentLogger } from '../../../../shared/log.ts'
import {
  type DisksUnderTest,
  type SnapshotsUnderTest,
  snapshotsContract,
} from '../../../contract/snapshots.ts'
import { domainXml } from './domains.ts'

const GROUP = 'vg0'
const NAME = 'contract'
const FOLDER = '/srv/contract'
const FILE = `${FOLDER}/contract.raw`
/** What the rest of the group is filled to, so that a snapshot cannot be made as large as its volume. */
const FREE_MIB = 56
const DISK_MIB = 48
const URI = 'qemu:///system'
const LOCK = `/run/lock/lvm/V_${GROUP}`

if (!readFileSync('/proc/cmdline', 'utf8').includes('lab_number='))
  throw new Error('this is no blade of the lab')

const files = createHostFiles()
const options = {
  uri: URI,
  files,
  clock: systemClock,
  log: silentLogger,
  // Whatever other stories left kept on this blade stays.
  makeRoom: async () => [],
}
const snapshots = createLvmSnapshots(options)

/** In a process of its own, which dies by its own hand when the first volume has its snapshot and the guest stands. */
async function takeAndDie(plan: SnapshotPlan): Promise<void> {
  const run = createCommandRunner(systemClock).observed(record => {
    if (isSnapshot(record)) process.kill(process.pid, 'SIGKILL')
  })
  await snapshots.take(plan, run)
}

const isSnapshot = ({ argv }: CommandRecord) => argv[0] === 'lvm' && argv.includes('--snapshot')
const isSuspend = ({ argv }: CommandRecord) => argv[0] === 'virsh' && argv.includes('suspend')

function tool(...argv: string[]): string {
  const text = execFileSync(argv[0] ?? '', argv.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  })
  return text.toString('utf8')
}
/** For what may be gone already. */
const attempt = (...argv: string[]): void => void spawnSync(argv[0] ?? '', argv.slice(1), { timeout: 60_000 })

function makeDisk(name: string, thin: boolean): Volume {
  const where = thin
    ? ['-V', `${DISK_MIB}M`, '-T', `${GROUP}/pool`]
    : ['-W', 'y', '-L', `${DISK_MIB}M`, GROUP]
  tool('lvcreate', '-qy', ...where, '-n', name)
  const storage = thin ? 'thin' : 'thick'
  const pool = thin ? `${GROUP}/pool` : GROUP
  return { ...describe(`/dev/${GROUP}/${name}`, DISK_MIB), storage, pool }
}

const describe = (path: string, sizeMiB: number) => {
  const sizeBytes = sizeMiB * MIB
  return { target: 'vda', path, sizeBytes, allocatedBytes: sizeBytes, format: 'raw' } as const
}

function makeFile(): Volume {
  tool('lvcreate', '-qy', '-W', 'y', '-L', '64M', '-n', `${NAME}-fs`, GROUP)
  tool('mkfs.ext4', '-q', '-F', `/dev/${GROUP}/${NAME}-fs`)
  mkdirSync(FOLDER, { recursive: true })
  tool('mount', `/dev/${GROUP}/${NAME}-fs`, FOLDER)
  tool('truncate', '-s', '32M', FILE)
  return { ...describe(FILE, 32), storage: 'file', pool: FOLDER }
}

function makeDisks(kind: DisksUnderTest): Volume[] {
  if (kind === 'file') return [makeFile()]
  if (kind === 'two') {
    return [makeDisk(NAME, false), { ...makeDisk(`${NAME}-data`, true), target: 'vdb' }]
  }
  return [makeDisk(NAME, kind === 'thin')]
}

const diskXml = ({ path, storage, target }: Volume, index: number) => {
  const source = storage === 'file' ? `file='${path}'` : `dev='${path}'`
  const type = storage === 'file' ? 'file' : 'block'
  return `<disk type='${type}' device='disk'><driver name='qemu' type='raw' cache='none' io='threads'/><source ${source}/><target dev='${target}' bus='virtio'/><boot order='${index + 1}'/></disk>`
}

function makeVm(kind: DisksUnderTest): Vm {
  const volumes = makeDisks(kind)
  const id = randomUUID()
  tool('lab-guest', NAME, volumes[0]?.path ?? '')
  const xml = domainXml(NAME, volumes.map(diskXml), 16).replace('<memory', `<uuid>${id}</uuid>\n  <memory`)
  writeFileSync('/root/contract.xml', xml)
  tool('virsh', '-q', 'define', '/root/contract.xml')
  tool('virsh', '-q', 'start', id)
  const rest = { networks: [], obstacles: [], epoch: 0, machine: 'pc', cpuModel: 'qemu64' }
  const seen = { persistent: true, incoming: false, memoryBytes: 16 * MIB, vcpus: 1 }
  return { id, name: NAME, state: 'running', volumes, ...rest, ...seen }
}

/** Takes all but a little of what is free in the group. */
function fill(): void {
  const free = Number(tool('vgs', '--noheadings', '--units', 'm', '--nosuffix', '-o', 'vg_free', GROUP))
  takeRoom('filler', ['-L', `${Math.floor(free - FREE_MIB)}M`])
}

/** Room that nobody uses, and nobody else can use either. */
function takeRoom(end: string, size: readonly string[]): void {
  tool('lvcreate', '-qy', '-Wn', '-Zn', '-an', ...size, '-n', `${NAME}-${end}`, GROUP)
}

function state(id: string): ReturnType<SnapshotsUnderTest['state']> {
  const { stdout } = spawnSync('virsh', ['domstate', id], { timeout: 30_000 })
  const word = stdout.toString('utf8').trim()
  return Promise.resolve(word === 'shut off' ? 'stopped' : word === 'paused' ? 'paused' : 'running')
}

async function write(path: string, offsetBytes: number, data: Buffer): Promise<void> {
  const handle = await open(path, 'r+')
  await handle.write(data, 0, data.length, offsetBytes)
  await handle.sync()
  await handle.close()
}

/** The volumes with a mark in their names that are left, ours and the suite's. */
function removeAll(): void {
  attempt('virsh', '-q', 'destroy', NAME)
  attempt('virsh', '-q', 'undefine', NAME)
  for (const mount of tool('cat', '/proc/self/mountinfo').matchAll(/ (\/run\/lifeboat\/snapshots\/\S+) /g))
    attempt('umount', mount[1] ?? '')
  attempt('umount', FOLDER)
  attempt('lvremove', '-qy', '@lifeboat.snapshot')
  for (const end of ['', '-data', '-fs', '-filler', '-filler2'])
    attempt('lvremove', '-qy', `${GROUP}/${NAME}${end}`)
}

async function blade(): Promise<SnapshotsUnderTest> {
  removeAll()
  let onSuspend = () => {}
  const run = createCommandRunner(systemClock).observed(record => {
    if (isSuspend(record)) onSuspend()
  })
  const version = /\d+\.\d+\.\d+/.exec(readFileSync('/proc/version', 'utf8'))?.[0] ?? ''
  return {
    snapshots,
    run,
    kinds: ['thick', 'thin', 'two', 'file'],
    onBadKernel() {
      const kernels = [{ from: version, before: '99.0.0', why: 'the test says so' }]
      return createLvmSnapshots({ ...options, kernels })
    },
    async addVm(kind) {
      const vm = makeVm(kind)
      fill()
      return vm
    },
    write,
    state,
    byHand: async (id, act) => void tool('virsh', '-q', act === 'pause' ? 'suspend' : 'destroy', id),
    async takeAndDie(plan) {
      const env = { ...process.env, LIFEBOAT_TEST_TAKE: JSON.stringify(plan) }
      const [node = '', script = ''] = process.argv
      const { signal, stderr } = spawnSync(node, [script], { env, timeout: 60_000 })
      if (signal !== 'SIGKILL')
        throw new Error(`the taker did not die in the middle: ${stderr.toString('utf8')}`)
    },
    async slowStorage() {
      // Somebody else's LVM command holds the lock of the group from the moment the guest stands still.
      onSuspend = () =>
        void execFileSync('sh', ['-c', `flock -x ${LOCK} sleep 6 >/dev/null 2>&1 & sleep 0.5`])
      return { end: async () => {} }
    },
    async flood(vm) {
      takeRoom('filler2', ['-l', '100%FREE'])
      const at = 8 * MIB
      await write(vm.volumes[0]?.path ?? '', at, Buffer.alloc((DISK_MIB - 8) * MIB, 7))
    },
    close: async () => removeAll(),
  }
}

const plan = process.env.LIFEBOAT_TEST_TAKE
if (plan === undefined) snapshotsContract('lvm', blade)
else await takeAndDie(JSON.parse(plan) as SnapshotPlan)
