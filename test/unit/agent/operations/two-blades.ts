import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { BackupSettings } from '../../../../agent/backup/settings.ts'
import { createTurns } from '../../../../agent/backup/turns.ts'
import type { Hypervisor, SignsOfLife } from '../../../../agent/hypervisor/hypervisor.ts'
import type { OperationServices } from '../../../../agent/operations/services.ts'
import type { PeerAddress, PeerClient } from '../../../../agent/peer/client.ts'
import { decideDoor } from '../../../../agent/peer/door.ts'
import { formatLine, type PeerAnswer, type PeerHeader } from '../../../../agent/peer/header.ts'
import { createIncoming, type Incoming } from '../../../../agent/peer/incoming.ts'
import { createSimRunner } from '../../../../agent/sim/runner.ts'
import type { Volumes } from '../../../../agent/storage/volumes.ts'
import { createKeptStore } from '../../../../agent/store/kept-store.ts'
import { createMoveStore } from '../../../../agent/store/move-store.ts'
import { AGENT_MIGRATIONS } from '../../../../agent/store/tables.ts'
import { createVmMarks } from '../../../../agent/store/vm-marks.ts'
import { systemClock } from '../../../../shared/clock.ts'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import { createMemorySnapshots, type MemorySnapshots } from '../../../fakes/memory-snapshots.ts'
import { createMemoryVault, type MemoryVault } from '../../../fakes/memory-vault.ts'

export const VM_ID = '22222222-2222-4222-8222-222222222222'
export const DISK = '/dev/vg0/db01'

/** A VM of a fake blade: what a hypervisor would hold of it. */
interface FakeVm {
  state: 'running' | 'paused' | 'stopped'
  autostart: boolean
  incoming: boolean
  /** 'db01' and DISK when nothing is said. */
  name?: string
  path?: string
}
interface FakeVolume {
  content: string
  move: string
  kept: string
}

/** Text of a definition: what a hypervisor would want to know of it. */
interface FakeDefinition {
  readonly id: string
  readonly name: string
  readonly path: string
}

/** One blade in memory, without any I/O but the sockets the peer code insists on. */
export interface FakeBlade {
  readonly name: string
  readonly vms: Map<string, FakeVm>
  readonly volumes: Map<string, FakeVolume>
  readonly services: OperationServices
  readonly incoming: Incoming
  readonly snapshots: MemorySnapshots
  readonly settings: { current: BackupSettings }
  /** What `signsOfLife` says of each VM. */
  signs: SignsOfLife
}

export interface TwoBlades {
  readonly source: FakeBlade
  readonly target: FakeBlade
  readonly vault: MemoryVault
  /** Unreachable: every message to a peer fails. */
  network: 'up' | 'down'
  /** Blades where the VM executes; every moment with two of them is remembered here. */
  readonly violations: string[]
}

// One directory for all worlds of a process; its name must be short, for UNIX sockets lie in it.
const directory = mkdtempSync(join(tmpdir(), 'lbt-'))
process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
let sockets = 0

/** A source with a running (or stopped) VM of one volume, and an empty target whose door opens by the order. */
export function createTwoBlades(state: 'running' | 'stopped' = 'running'): TwoBlades {
  const blades = new Map<string, FakeBlade>()
  const vault = createMemoryVault()
  const violations: string[] = []
  const watch = (): void => {
    const on = [...blades.values()].filter(blade => blade.vms.get(VM_ID)?.state === 'running')
    if (on.length > 1) violations.push(`runs on ${on.map(blade => blade.name).join(' and ')}`)
  }
  const make = (name: string): FakeBlade => {
    const blade = createFakeBlade(
      name,
      other => blades.get(other),
      () => world.network === 'up',
      watch,
      vault,
    )
    blades.set(name, blade)
    return blade
  }
  const source = make('blade01')
  const target = make('blade02')
  source.vms.set(VM_ID, { state, autostart: true, incoming: false })
  source.volumes.set(DISK, { content: 'the data', move: '', kept: '' })
  const world: TwoBlades = { source, target, vault, network: 'up', violations }
  return world
}

function createFakeBlade(
  name: string,
  other: (name: string) => FakeBlade | undefined,
  isNetworkUp: () => boolean,
  watch: () => void,
  vault: MemoryVault,
): FakeBlade {
  const db = openDatabase(':memory:', AGENT_MIGRATIONS)
  const clock = systemClock
  const vms = new Map<string, FakeVm>()
  const volumes = new Map<string, FakeVolume>()
  const moves = createMoveStore(db, clock)
  const run = createSimRunner(clock)
  const hypervisor = createFakeHypervisor(name, vms, volumes, other, watch, () => blade.signs)
  const seam = createFakeVolumes(volumes)
  const read = (path: string): string => volumes.get(path)?.content ?? snapshots.taken.get(path)?.text ?? ''
  const snapshots = createMemorySnapshots(hypervisor, read)
  const settings = { current: BACKUPS }
  const incoming = createIncoming({
    hypervisor,
    volumes: seam,
    moves,
    runFor: () => run,
    bootId: 'boot-1',
    clock,
    log: silentLogger,
    onChange: () => {},
  })
  const services: OperationServices = {
    hypervisor,
    volumes: seam,
    moves,
    marks: createVmMarks(db),
    kept: createKeptStore(db),
    snapshots: snapshots.seam,
    vaults: vault.vaults,
    transfer: vault.transfer({
      read,
      write: (path, text) => {
        const known = volumes.get(path)
        if (known !== undefined) known.content = text
      },
    }),
    turns: createTurns(),
    changedRanges: new Map(),
    workingOn: () => undefined,
    backupSettings: () => settings.current,
    vaultAccess: vault => ({ kind: 'network', ...vault, identity: NOBODY }),
    standAside: async () => {},
    peers: createFakePeers(name, other, isNetworkUp),
    run,
    bootId: 'boot-1',
    clock,
    log: silentLogger,
    lookUp: async vmId => (await hypervisor.list()).find(vm => vm.id === vmId),
    makeSocketDirectories: async () => {},
    closeDoor: async move => incoming.settled(move),
    claimPeerCommands: () => {},
    tell: () => {},
  }
  const signs = { agent: true, consoleBytes: 0 }
  const blade: FakeBlade = { name, vms, volumes, services, incoming, snapshots, settings, signs }
  return blade
}

const NOBODY = { certificatePem: '', privateKeyPem: '', authorityPem: '' }
const BACKUPS: BackupSettings = {
  vault: { name: 'depot', address: '127.0.0.1:7424' },
  schedule: '0 2 * * *',
  jitterMs: 0,
  mode: 'pause',
  pauseBudgetMs: 5000,
  rateLimitBytes: 0,
  vms: [],
}

function createFakeHypervisor(
  name: string,
  vms: Map<string, FakeVm>,
  volumes: Map<string, FakeVolume>,
  other: (name: string) => FakeBlade | undefined,
  watch: () => void,
  signs: () => SignsOfLife,
): Hypervisor {
  const vm = (id: string): FakeVm => {
    const found = vms.get(id)
    if (found === undefined) throw new LifeboatError('not-found', `no VM ${id}`)
    return found
  }
  const set = (id: string, state: FakeVm['state']): void => {
    vm(id).state = state
    watch()
  }
  const paths = (id: string, moveId: string) => {
    sockets += 1
    return {
      control: join(directory, `${name}${moveId}${id.slice(0, 2)}${sockets}c`),
      memory: join(directory, `${name}${moveId}${id.slice(0, 2)}${sockets}m`),
      disk: join(directory, `${name}${moveId}${id.slice(0, 2)}${sockets}d`),
    }
  }
  return {
    list: async () => [...vms].map(([id, found]) => describe(id, found)),
    capacity: async () => ({ memoryBytes: 0, cpus: 1, networks: [], hypervisor: 'fake', cpuModels: [] }),
    watch: () => () => {},
    start: async id => set(id, 'running'),
    stop: async id => set(id, 'stopped'),
    pause: async id => set(id, 'paused'),
    resume: async id => {
      if (vm(id).state === 'stopped') throw new LifeboatError('refused', 'not running')
      set(id, 'running')
    },
    state: async id => vms.get(id)?.state ?? 'absent',
    definition: async id => JSON.stringify({ id, name: vm(id).name ?? 'db01', path: vm(id).path ?? DISK }),
    define: async definition => {
      const { id, name: vmName, path } = JSON.parse(definition) as FakeDefinition
      if (!vms.has(id))
        vms.set(id, { state: 'stopped', autostart: false, incoming: false, name: vmName, path })
    },
    adaptDefinition: (_definition, { id, name: vmName, disks }) =>
      JSON.stringify({ id, name: vmName, path: disks.get('vda')?.path }),
    signsOfLife: async () => signs(),
    erase: async id => {
      if (vms.get(id)?.state === 'running') throw new LifeboatError('refused', 'runs')
      vms.delete(id)
    },
    undefine: async id => {
      if (vms.get(id)?.state === 'running') throw new LifeboatError('refused', 'runs')
      vms.delete(id)
    },
    autostart: async id => vm(id).autostart,
    setAutostart: async (id, on) => {
      vm(id).autostart = on
    },
    destroyIncoming: async id => {
      if (vms.get(id)?.state === 'running') throw new LifeboatError('refused', 'runs here')
      if (vms.get(id)?.incoming === true) vms.delete(id)
    },
    migrate: async (id, _sockets, options) => {
      options.signal.throwIfAborted()
      const peer = other(name === 'blade01' ? 'blade02' : 'blade01')
      const there = peer?.volumes.get(DISK)
      if (peer === undefined || there === undefined)
        throw new LifeboatError('command-failed', 'no volume there')
      if (peer.vms.has(id)) throw new LifeboatError('command-failed', 'a domain of that id is there')
      there.content = volumes.get(DISK)?.content ?? ''
      peer.vms.set(id, { state: 'paused', autostart: false, incoming: true })
      set(id, 'stopped')
      return { downtimeMs: 1, transferredBytes: 8, durationMs: 2 }
    },
    isMigrating: async () => false,
    cancelMigration: async () => {},
    incomingSockets: (vmName, moveId) => paths(vmName, moveId),
    outgoingSockets: (vmName, moveId) => paths(vmName, moveId),
  }
}

function describe(id: string, { state, name = 'db01', path = DISK }: FakeVm): Vm {
  return {
    id,
    name,
    state,
    memoryBytes: 1,
    vcpus: 1,
    volumes: [
      {
        target: 'vda',
        path,
        storage: 'thick',
        pool: 'vg0',
        sizeBytes: 64,
        allocatedBytes: 64,
        format: 'raw',
      },
    ],
    networks: [],
    obstacles: [],
    epoch: 0,
    machine: '',
    cpuModel: '',
    persistent: true,
    incoming: false,
  }
}

function createFakeVolumes(volumes: Map<string, FakeVolume>): Volumes {
  const keptPath = (path: string, moveId: string): string => `${path}.kept.${moveId}`
  return {
    pools: async () => [],
    inspect: async () => new Map(),
    create: async (volume, moveId) => {
      const known = volumes.get(volume.path)
      if (known !== undefined && known.move !== moveId) throw new LifeboatError('already-exists', volume.path)
      if (known === undefined) volumes.set(volume.path, { content: '', move: moveId, kept: '' })
      return []
    },
    adopt: async path => {
      const known = volumes.get(path)
      if (known !== undefined) known.move = ''
    },
    discard: async (path, moveId) => {
      if (volumes.get(path)?.move === moveId) volumes.delete(path)
    },
    keep: async (path, moveId) => {
      const known = volumes.get(path)
      if (known !== undefined) {
        volumes.set(keptPath(path, moveId), { ...known, kept: moveId })
        volumes.delete(path)
      }
      if (!volumes.has(keptPath(path, moveId))) throw new LifeboatError('not-found', path)
      return keptPath(path, moveId)
    },
    unkeep: async () => {},
    kept: async () => [],
    directAccess: async (path, moveId) => {
      if (volumes.get(path)?.move !== moveId)
        throw new LifeboatError('refused', `${path} is not of ${moveId}`)
      return { path, readsZero: true }
    },
    drop: async path => void volumes.delete(path),
    async *read(path) {
      yield { offsetBytes: 0, data: Buffer.from(volumes.get(path)?.content ?? '') }
    },
    write: async (path, extents) => {
      for await (const { data } of extents) {
        const known = volumes.get(path)
        if (known !== undefined) known.content += data.toString()
      }
    },
  }
}

/** Carries messages straight to the other blade's real handlers, past its real door. */
function createFakePeers(
  name: string,
  other: (name: string) => FakeBlade | undefined,
  isNetworkUp: () => boolean,
): PeerClient {
  const enter = (peer: PeerAddress, header: PeerHeader) => {
    const blade = other(peer.blade)
    if (blade === undefined || !isNetworkUp()) throw new LifeboatError('unavailable', `${peer.blade} is away`)
    const move = blade.services.moves.load(header.moveId)
    const decision = decideDoor(header, name, move)
    if (!decision.open) throw new LifeboatError(decision.code, decision.message)
    if (move === undefined) throw new LifeboatError('not-found', 'no move')
    return { blade, move }
  }
  const ask = async (peer: PeerAddress, header: PeerHeader): Promise<PeerAnswer> => {
    const { blade, move } = enter(peer, header)
    return { ok: true, ...(await blade.incoming.handlers.message(header, move)) }
  }
  return {
    ask,
    dial: async peer => ({ ask: header => ask(peer, header), close: () => {} }),
    open: async (peer, header) => {
      const { blade, move } = enter(peer, header)
      const [here, there] = duplexPair()
      here.on('error', () => {})
      there.on('error', () => {})
      const { promise: accepted, resolve, reject } = Promise.withResolvers<void>()
      blade.incoming.handlers.bytes(header, move, there as TLSSocket, resolve).then(
        last => there.end(last === undefined ? '' : formatLine({ ok: true, ...last })),
        error => {
          reject(error)
          there.destroy()
        },
      )
      await accepted
      return here as TLSSocket
    },
  }
}
