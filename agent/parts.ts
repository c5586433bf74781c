import type Database from 'better-sqlite3'
import type { CommandRecord } from '../shared/domain/operation.ts'
import { formatErrorChain } from '../shared/errors.ts'
import type { CommandRunner } from '../shared/exec.ts'
import type { Logger } from '../shared/log.ts'
import { formatAddress, splitAddress } from '../shared/rpc/address.ts'
import { createSagaJournal } from '../shared/saga/journal.ts'
import { createSagaRunner, type SagaRunner } from '../shared/saga/runner.ts'
import { backupEnded } from './backup/ended.ts'
import type { BackupRecoveryOptions } from './backup/recovery.ts'
import { standAside } from './backup/stand-aside.ts'
import { createTurns } from './backup/turns.ts'
import type { AgentConfig } from './config.ts'
import { createBondProbe } from './health/bond.ts'
import { createMirrorProbe } from './health/mirror.ts'
import { createPowerProbe } from './health/power-probe.ts'
import type { Probe } from './health/probe.ts'
import type { Inventory } from './inventory/inventory.ts'
import { DEFINITIONS } from './operations/definitions.ts'
import { createOrderDesk, type OrderDesk } from './operations/order-desk.ts'
import type { OperationServices } from './operations/services.ts'
import { createPeerClient } from './peer/client.ts'
import { createIncoming } from './peer/incoming.ts'
import { ownAddressTowards } from './peer/own-address.ts'
import { createPeerServer, type PeerServer } from './peer/server.ts'
import { makeSocketDirectories } from './peer/sockets.ts'
import type { AgentSeams } from './seams.ts'
import type { BladeIdentity } from './session/identity-file.ts'
import { type Session, startSession } from './session/session.ts'
import type { Uplink } from './session/uplink.ts'
import { createBackupStore } from './store/backup-store.ts'
import { createEventSpool } from './store/event-spool.ts'
import { createKeptStore } from './store/kept-store.ts'
import { createMoveStore, type MoveRow } from './store/move-store.ts'
import { createOrderStore } from './store/order-store.ts'
import { createVmMarks } from './store/vm-marks.ts'

// The agent's parts, each joined from what lies below it; `bootstrap.ts` puts them together.

/** The identity in use; a renewal replaces it for all who ask. */
export interface IdentityHolder {
  current: BladeIdentity
}

/** Everything the agent remembers, over one database. */
export function openStores(db: Database.Database, seams: AgentSeams, onEvent: () => void) {
  const { clock, ids } = seams
  return {
    orders: createOrderStore(db),
    moves: createMoveStore(db, clock),
    marks: createVmMarks(db),
    kept: createKeptStore(db),
    backups: createBackupStore(db),
    journal: createSagaJournal(db),
    spool: createEventSpool(db, { clock, ids, onAdd: onEvent }),
  }
}
type Stores = ReturnType<typeof openStores>

/** Commands a peer's word made us run, until an order of that move claims them. */
function peerKey(moveId: string): string {
  return `peer:${moveId}`
}

/** A full disk must not make a command fail that has succeeded. */
function keepCommand(stores: Stores, log: Logger, key: string, record: CommandRecord): void {
  try {
    stores.orders.addCommand(key, record)
  } catch (error) {
    log.warn('a command could not be kept with its order', { key, error: formatErrorChain(error) })
  }
}

/** What every part is made with. */
export interface Shared {
  readonly seams: AgentSeams
  readonly stores: Stores
  readonly holder: IdentityHolder
  readonly bootId: string
}

/** Listens for other blades' agents, and lets in whom an open move expects. Throws `unavailable`. */
export async function openPeerPort(config: AgentConfig, parts: Shared & { onChange: () => void }) {
  const { seams, stores, holder, bootId, onChange } = parts
  const { clock, hypervisor, volumes } = seams
  const log = seams.log.child('peer')
  const runFor = (moveId: string): CommandRunner =>
    seams.run.observed(record => keepCommand(stores, log, peerKey(moveId), record))
  const incoming = createIncoming({
    hypervisor,
    volumes,
    moves: stores.moves,
    runFor,
    bootId,
    clock,
    log,
    onChange,
  })
  const { identity } = holder.current
  const server = await createPeerServer({
    listen: config.peerListen,
    identity,
    moves: stores.moves,
    handlers: incoming.handlers,
    clock,
    log,
  })
  const closeDoor = async (move: MoveRow): Promise<void> => {
    server.closeMove(move.moveId)
    await incoming.settled(move)
  }
  return { server, runFor, closeDoor }
}
type PeerPort = Awaited<ReturnType<typeof openPeerPort>>

/** What is read of the host's health; no power probe where there is no BMC. */
export function makeProbes(seams: AgentSeams): Probe[] {
  const { clock, hostFiles: files, power } = seams
  const probes = [createMirrorProbe({ files, clock }), createBondProbe({ files, clock })]
  return power === undefined ? probes : [...probes, createPowerProbe({ power, clock })]
}

/** The saga runner with every order's definition, and the desk in front of it. Nothing runs before `recover`. */
export function createOperations(
  parts: Shared & { peer: PeerPort; inventory: Inventory; uplink: Uplink; onBackupEnd: () => void },
): {
  desk: OrderDesk
  runner: SagaRunner<OperationServices>
  /** For what must happen before the desk takes up its orders. */
  backups: BackupRecoveryOptions
} {
  const { seams, stores, holder, bootId, peer, inventory, uplink } = parts
  const { clock } = seams
  const log = seams.log.child('operations')
  const peers = createPeerClient({ identity: () => holder.current.identity, clock })
  const turns = createTurns()
  const changedRanges: OperationServices['changedRanges'] = new Map()
  const runFor = (sagaId: string): CommandRunner =>
    seams.run.observed(record => keepCommand(stores, log, sagaId, record))
  const servicesFor = (orderId: string): OperationServices => ({
    ...stores,
    hypervisor: seams.hypervisor,
    volumes: seams.volumes,
    snapshots: seams.snapshots,
    transfer: seams.transfer,
    vaults: seams.vaults,
    turns,
    changedRanges,
    peers,
    run: runFor(orderId),
    clock,
    log,
    bootId,
    lookUp: inventory.lookUp,
    workingOn: stores.orders.working,
    backupSettings: stores.backups.settings,
    vaultAccess: vault => ({ kind: 'network', ...vault, identity: holder.current.identity }),
    standAside: vmId => standAside(vmId, { journal: stores.journal, runner: () => runner, clock, log }),
    makeSocketDirectories: () => makeSocketDirectories(seams.socketDirectories),
    closeDoor: peer.closeDoor,
    claimPeerCommands: moveId => stores.orders.claimCommands(peerKey(moveId), orderId),
    tell: stores.spool.add,
  })
  const runner = createSagaRunner<OperationServices>({
    journal: stores.journal,
    clock,
    // The desk says in one line, with the VM's name, what the runner would say of a saga's id.
    log: { ...log, info: log.debug },
    servicesFor,
    onChange: view => {
      // First: whatever goes wrong with telling it, the next one has its turn.
      if (view.endedAt > 0) turns.leave(view.id)
      desk.onSaga(view)
      if (view.kind === 'backup-vm' && view.endedAt > 0) {
        backupEnded(view, { ...stores, store: stores.backups, tell: stores.spool.add, clock, log })
        parts.onBackupEnd()
      }
      // What an order does in between, the hypervisor's own events tell.
      if (view.endedAt > 0) inventory.nudge()
    },
  })
  for (const definition of Object.values(DEFINITIONS)) runner.register(definition)
  const desk = createOrderDesk({
    ...stores,
    blade: holder.current.blade,
    runner: () => runner,
    nameOf: inventory.nameOf,
    clock,
    log,
    onStatus: uplink.statusChanged,
    tell: stores.spool.add,
  })
  const { snapshots, transfer, run } = seams
  const { journal } = stores
  const view = runner.view.bind(runner)
  return { desk, runner, backups: { snapshots, transfer, journal, view, runFor, run, clock, log } }
}

/** Starts to keep a session with the controller. */
export function dial(
  config: AgentConfig,
  parts: Shared & { uplink: Uplink; desk: OrderDesk; peer: PeerPort; onBackupSettings: () => void },
): Session {
  const { seams, holder } = parts
  const { blade, controller } = holder.current
  return startSession({
    blade,
    controller,
    bootId: parts.bootId,
    identity: () => holder.current.identity,
    peerAddress: () => peerAddress(config, controller, parts.peer.server),
    desk: parts.desk,
    spool: parts.stores.spool,
    onBackupSettings: settings => {
      if (parts.stores.backups.putSettings(settings)) parts.onBackupSettings()
    },
    uplink: parts.uplink,
    clock: seams.clock,
    ids: seams.ids,
    log: seams.log.child('session'),
  })
}

/** Tells a restarted agent from a rebooted blade. */
export async function readBootId({ hostFiles, ids }: AgentSeams): Promise<string> {
  try {
    return (await hostFiles.read('/proc/sys/kernel/random/boot_id')).trim()
  } catch {
    return ids.next()
  }
}

/** Asked anew for each session: addresses of a blade may change while it runs. */
async function peerAddress(config: AgentConfig, controller: string, server: PeerServer): Promise<string> {
  if (/:\d+$/.test(config.peerAddress)) return config.peerAddress
  if (config.peerAddress !== '') return `${config.peerAddress}:${server.port}`
  const bound = splitAddress(config.peerListen).host
  if (bound !== '0.0.0.0' && bound !== '::') return formatAddress(bound, server.port)
  const { host, port } = splitAddress(controller)
  return formatAddress((await ownAddressTowards(host, port)) ?? '127.0.0.1', server.port)
}
