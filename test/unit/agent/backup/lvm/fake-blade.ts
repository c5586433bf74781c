import { createLvmSnapshots } from '../../../../../agent/backup/lvm/engine.ts'
import type { SnapshotRequest } from '../../../../../agent/backup/snapshots.ts'
import type { HostFiles } from '../../../../../agent/health/host-files.ts'
import type { Clock } from '../../../../../shared/clock.ts'
import type { Vm, Volume } from '../../../../../shared/domain/fleet.ts'
import type { CommandRecord } from '../../../../../shared/domain/operation.ts'
import { LifeboatError } from '../../../../../shared/errors.ts'
import type { CommandRunner, FollowOptions, RunOptions, RunResult } from '../../../../../shared/exec.ts'
import { silentLogger } from '../../../../../shared/log.ts'
import { createHastyClock } from '../../../../fakes/manual-clock.ts'

export const VM_ID = '5d1f3a60-1111-4a4a-8a8a-000000000001'
export const MIB = 1024 * 1024
const EXTENT = 4 * MIB

export interface FakeLv {
  name: string
  attributes: string
  sizeBytes: number
  tags: string[]
  pool?: string
  origin?: string
  dataPercent?: string
  metadataPercent?: string
  thinId?: string
}

/** A blade of words: what the tools would print and do, enough for snapshots. */
export interface FakeBlade {
  readonly lvs: FakeLv[]
  /** Everything run or typed, in order, as one line each; typed ones begin with `virsh>` or `lvm>`. */
  readonly log: string[]
  readonly noted: CommandRecord[]
  readonly files: Record<string, string>
  guest: { state: 'running' | 'paused' | 'shut off'; frozen: boolean; hasAgent: boolean }
  /** How the timer that waits lets the guest go. */
  timer: string | undefined
  /** The timer has struck, and what it started tries again and again. */
  retrying: boolean
  suspended: string[]
  metadataSnapshot: boolean
  freeBytes: number
  /** Called for the kept volumes of groups or pools to go; by default there are none. */
  makeRoom: (neededBytes: ReadonlyMap<string, number>) => readonly string[]
  thinDelta: string
  /** What happens instead of what a line (as in `log`) would do: a complaint, no answer, or the end of the program. */
  readonly faults: { readonly line: RegExp; readonly what: 'fail' | 'hang' | 'die' }[]
  readonly run: CommandRunner
  readonly snapshots: ReturnType<typeof createLvmSnapshots>
  request(change?: Partial<SnapshotRequest>): SnapshotRequest
  vm: Vm
}

const FILES = {
  '/proc/version': 'Linux version 6.12.57+deb13-amd64 (x) #1 SMP Debian 6.12.57-1 (2025-11-05)',
  '/proc/diskstats': ' 253 3 dm-3 1 0 8 1 1 0 2048 1 0 1 1\n',
  '/proc/uptime': '1000.0 900.0\n',
  '/proc/self/mountinfo': '22 1 8:1 / / rw - ext4 /dev/sda1 rw\n',
}

export function volume(target: string, path: string, storage: Volume['storage'] = 'thick'): Volume {
  const sizeBytes = 64 * MIB
  const pool = storage === 'thin' ? 'vg0/pool' : storage === 'file' ? '/images' : 'vg0'
  return { target, path, storage, pool, sizeBytes, allocatedBytes: sizeBytes, format: 'raw' }
}

export function createFakeBlade(clock: Clock = createHastyClock(1_700_000_000_000, 500)): FakeBlade {
  const files: Record<string, string> = { ...FILES }
  const hostFiles: HostFiles = {
    read: async path => {
      const text = files[path]
      if (text === undefined) throw new LifeboatError('not-found', `no ${path}`)
      return text
    },
    list: async () => [],
  }
  const disks = [volume('vda', '/dev/vg0/web01')]
  const blade: FakeBlade = {
    lvs: [
      { name: 'web01', attributes: '-wi-ao----', sizeBytes: 64 * MIB, tags: [] },
      { name: 'web01-data', attributes: '-wi-ao----', sizeBytes: 64 * MIB, tags: [] },
      { name: 'thin01', attributes: 'Vwi-aot---', sizeBytes: 64 * MIB, tags: [], pool: 'pool', thinId: '1' },
      {
        ...{ name: 'pool', attributes: 'twi-aotz--', sizeBytes: 384 * MIB, tags: [] },
        ...{ dataPercent: '10.00', metadataPercent: '11.00' },
      },
    ],
    log: [],
    noted: [],
    files,
    guest: { state: 'running', frozen: false, hasAgent: false },
    timer: undefined,
    retrying: false,
    suspended: [],
    metadataSnapshot: false,
    freeBytes: 400 * MIB,
    makeRoom: () => [],
    thinDelta: '',
    faults: [],
    run: { run, follow, observed: () => blade.run, note: record => void blade.noted.push(record) },
    snapshots: createLvmSnapshots({
      uri: 'qemu:///system',
      files: hostFiles,
      clock,
      log: silentLogger,
      makeRoom: async neededBytes => blade.makeRoom(neededBytes),
    }),
    request: change => ({
      ...{ backupId: 'b1', vm: blade.vm, mode: 'pause', pauseBudgetMs: 5000, force: false },
      ...change,
    }),
    vm: {
      ...{ id: VM_ID, name: 'web01', state: 'running', memoryBytes: 0, vcpus: 1, volumes: disks },
      ...{
        networks: [],
        obstacles: [],
        epoch: 0,
        machine: 'pc',
        cpuModel: '',
        persistent: true,
        incoming: false,
      },
    },
  }
  const faultOf = (line: string) => blade.faults.find(fault => fault.line.test(line))?.what

  async function run(argv: readonly string[], options: RunOptions): Promise<RunResult> {
    const line = argv.join(' ')
    blade.log.push(line)
    const fault = faultOf(line)
    if (fault === 'hang') throw new LifeboatError('timeout', `${argv[0]} did not end`)
    const answer = fault === undefined ? perform(blade, argv) : { exitCode: 1, stdout: '' }
    if (!(options.okExitCodes ?? [0]).includes(answer.exitCode)) {
      throw new LifeboatError('command-failed', `${argv[0]} exited with ${answer.exitCode}`)
    }
    return { ...answer, stderr: '', durationMs: 0 }
  }

  function follow(argv: readonly string[], options: FollowOptions) {
    const name = argv[0] ?? ''
    let over = false
    const end = () => {
      over = true
      options.onEnd(0)
    }
    const write = (text: string) => {
      if (over) return
      const [line = '', mark] = text.split('\n')
      if (line === 'quit' || line === 'exit') return void setImmediate(end)
      blade.log.push(`${name}> ${line}`)
      const fault = faultOf(`${name}> ${line}`)
      if (fault === 'hang') return
      if (fault === 'die') return void setImmediate(end)
      const said = fault === 'fail' ? undefined : typed(blade, name, line)
      setImmediate(() => {
        if (said === undefined) options.onErrorLine?.('error: it did not work')
        else options.onLine(said)
        options.onErrorLine?.(`error: unknown command: '${mark}'`)
      })
    }
    return { write, stop: end }
  }
  return blade
}

/** Answers to what is typed; undefined: a complaint. */
function typed(blade: FakeBlade, program: string, line: string): string | undefined {
  const { guest } = blade
  const words = line.split(' ')
  if (program === 'lvm') return typedToLvm(blade, words)
  if (words[0] === 'domstate') return guest.state
  if (words[0] === 'suspend' && guest.state !== 'shut off') {
    guest.state = 'paused'
    return `Domain '${words[1]}' suspended`
  }
  if (words[0] === 'resume' && guest.state === 'paused') {
    guest.state = 'running'
    return `Domain '${words[1]}' resumed`
  }
  if (words[0] !== 'domfsthaw') return undefined
  const count = guest.frozen ? 1 : 0
  guest.frozen = false
  return `Thawed ${count} filesystem(s)`
}

function typedToLvm(blade: FakeBlade, words: readonly string[]): string | undefined {
  const last = (words.at(-1) ?? '').replace('vg0/', '')
  if (words[0] === 'vgs') return '  vg0   1   6   0 wz--n- 1020.00m 436.00m'
  if (words[0] === 'lvconvert') {
    const lv = blade.lvs.find(one => one.name === last)
    if (lv === undefined) return undefined
    Object.assign(lv, {
      attributes: 'swi-a-s---',
      origin: (words.at(-2) ?? '').replace('vg0/', ''),
      dataPercent: '0.10',
    })
    return `  Logical volume vg0/${last} converted to snapshot.`
  }
  const name = words[words.indexOf('--name') + 1] ?? ''
  const tags = words.flatMap((word, index) => (words[index - 1] === '--addtag' ? [word] : []))
  const thinId = String(blade.lvs.length + 10)
  blade.lvs.push({
    name,
    attributes: 'Vri---t--k',
    sizeBytes: 64 * MIB,
    tags,
    pool: 'pool',
    origin: last,
    thinId,
  })
  return `  Logical volume "${name}" created.`
}

const ok = (stdout = '') => ({ exitCode: 0, stdout })

function perform(blade: FakeBlade, argv: readonly string[]): { exitCode: number; stdout: string } {
  const [program] = argv
  if (program === 'virsh') return performVirsh(blade, argv.slice(3))
  if (program === 'systemd-run') {
    blade.timer = argv.at(-1)
    return ok()
  }
  if (program === 'systemctl') return performSystemctl(blade, argv.slice(1))
  if (program === 'dmsetup') return performDmsetup(blade, argv)
  if (program === 'thin_delta') return ok(blade.thinDelta)
  return performLvm(blade, argv)
}

function performSystemctl(blade: FakeBlade, [verb, ...units]: readonly string[]) {
  const words = units.map(unit => {
    if (unit.endsWith('.service')) return blade.retrying ? 'activating' : 'inactive'
    return blade.timer === undefined ? 'inactive' : 'active'
  })
  if (verb === 'is-active') return { exitCode: words.includes('active') ? 0 : 3, stdout: words.join('\n') }
  if (units.some(unit => unit.endsWith('.service'))) blade.retrying = false
  blade.timer = undefined
  return { exitCode: words.includes('inactive') ? 5 : 0, stdout: '' }
}

function performVirsh(blade: FakeBlade, words: readonly string[]) {
  const { guest } = blade
  if (words[0] === 'domstate') return ok(`${guest.state}\n\n`)
  if (words[0] === 'list') {
    const isThere = words.includes('--state-paused') ? guest.state === 'paused' : guest.state !== 'shut off'
    return ok(isThere ? `${VM_ID}\n\n` : '\n')
  }
  if (words[0] === 'qemu-agent-command') {
    return guest.hasAgent
      ? ok(`{"return":"${guest.frozen ? 'frozen' : 'thawed'}"}`)
      : { exitCode: 1, stdout: '' }
  }
  if (words[0] === 'domfsfreeze') guest.frozen = true
  if (words[0] === 'domfsthaw') {
    if (!guest.hasAgent || guest.state !== 'running') return { exitCode: 1, stdout: '' }
    const count = guest.frozen ? 1 : 0
    guest.frozen = false
    return ok(`Thawed ${count} filesystem(s)\n`)
  }
  if (words[0] === 'resume') {
    if (guest.state !== 'paused') return { exitCode: 1, stdout: '' }
    guest.state = 'running'
  }
  return ok()
}

function performDmsetup(blade: FakeBlade, argv: readonly string[]) {
  const [, verb, name = ''] = argv
  if (verb === 'info')
    return ok(
      blade.suspended
        .map(each => `${each} Suspended`)
        .concat('vg0-other Active')
        .join('\n'),
    )
  if (verb === 'resume') blade.suspended = blade.suspended.filter(each => each !== name)
  if (verb === 'status')
    return ok(`0 9 thin-pool 7 1/9 1/9 ${blade.metadataSnapshot ? '304' : '-'} rw - 256 \n`)
  if (argv.at(-1) === 'reserve_metadata_snap') {
    if (blade.metadataSnapshot) return { exitCode: 1, stdout: '' }
    blade.metadataSnapshot = true
  }
  if (argv.at(-1) === 'release_metadata_snap') blade.metadataSnapshot = false
  return ok()
}

function performLvm(blade: FakeBlade, argv: readonly string[]) {
  const option = (name: string) => argv.flatMap((word, index) => (argv[index - 1] === name ? [word] : []))
  const lv = blade.lvs.find(one => argv.at(-1) === `vg0/${one.name}`)
  if (argv[1] === 'fullreport') {
    const part = { vg: [vgRow(blade)], lv: blade.lvs.map(lvRow), seg: blade.lvs.map(segRow) }
    return ok(JSON.stringify({ report: [part] }))
  }
  if (argv[0] === 'lvcreate') {
    const sizeBytes = Number.parseInt(option('--size')[0] ?? '', 10)
    const tags = option('--addtag')
    blade.lvs.push({ name: option('--name')[0] ?? '', attributes: '-wi-a-----', sizeBytes, tags })
  }
  if (argv[0] === 'lvremove') {
    if (lv === undefined) return { exitCode: 5, stdout: '' }
    blade.lvs.splice(blade.lvs.indexOf(lv), 1)
  }
  if (argv[0] === 'lvchange') lv?.tags.push(...option('--addtag'))
  if (argv[0] === 'lvextend' && lv !== undefined)
    lv.sizeBytes += Number.parseInt((option('--size')[0] ?? '').slice(1), 10)
  return ok()
}

const vgRow = ({ freeBytes }: FakeBlade) => ({
  ...{
    vg_name: 'vg0',
    vg_size: String(1020 * MIB),
    vg_free: String(freeBytes),
    vg_extent_size: String(EXTENT),
  },
})
const lvRow = (lv: FakeLv, index: number) => ({
  ...{ vg_name: 'vg0', lv_name: lv.name, lv_attr: lv.attributes, lv_size: String(lv.sizeBytes) },
  ...{ lv_tags: lv.tags.join(','), pool_lv: lv.pool ?? '', origin: lv.origin ?? '' },
  ...{ data_percent: lv.dataPercent ?? '', metadata_percent: lv.metadataPercent ?? '' },
  lv_kernel_minor: String(index),
})
const segRow = (lv: FakeLv) => ({ lv_name: lv.name, thin_id: lv.thinId ?? '' })
