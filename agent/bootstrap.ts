import { join } from 'node:path'
import type Database from 'better-sqlite3'
import { type Clock, type IdSource, randomIds, systemClock } from '../shared/clock.ts'
import type { CommandRecord } from '../shared/domain/operation.ts'
import { formatErrorChain, LifeboatError } from '../shared/errors.ts'
import type { CommandRunner } from '../shared/exec.ts'
import { createCommandRunner } from '../shared/exec-node.ts'
import type { Logger } from '../shared/log.ts'
import { createSagaJournal } from '../shared/saga/journal.ts'
import { createSagaRunner, type SagaRunner } from '../shared/saga/runner.ts'
import { openDatabase } from '../shared/sqlite.ts'
import { VERSION } from '../shared/version.ts'
import type { AgentConfig, HostConfig } from './config.ts'
import { createBondProbe } from './health/bond.ts'
import { listBridges } from './health/bridges.ts'
import type { HostFiles } from './health/host-files.ts'
import { createHostFiles } from './health/host-files-node.ts'
import { createMirrorProbe } from './health/mirror.ts'
import type { Power } from './health/power.ts'
import { createIpmitoolPower } from './health/power-ipmitool.ts'
import { createPowerProbe } from './health/power-probe.ts'
import type { Probe } from './health/probe.ts'
import { startProbes } from './health/probes.ts'
import type { Hypervisor } from './hypervisor/hypervisor.ts'
import { SOCKET_DIRECTORY, socketDirectories } from './hypervisor/sockets.ts'
import { createVirshHypervisor } from './hypervisor/virsh.ts'
import { type Inventory, startInventory } from './inventory/inventory.ts'
import { DEFINITIONS } from './operations/definitions.ts'
import { createOrderDesk, type OrderDesk } from './operations/order-desk.ts'
import { recover } from './operations/recovery.ts'
import type { OperationServices } from './operations/services.ts'
import { startSweeper } from './operations/sweeper.ts'
import { joinAddress, ownAddressTowards, splitAddress } from './peer/address.ts'
import { createPeerClient } from './peer/client.ts'
import { createIncoming } from './peer/incoming.ts'
import { createPeerServer, type PeerServer } from './peer/server.ts'
import { makeSocketDirectories, type SocketDirectory } from './peer/sockets.ts'
import { type BladeIdentity, readIdentity } from './session/identity-file.ts'
import { startRenewal } from './session/renewal.ts'
import { createReporter } from './session/reporter.ts'
import { type Session, startSession } from './session/session.ts'
import { createUplink, type Uplink } from './session/uplink.ts'
import type { Volumes } from './storage/volumes.ts'
import { createHostVolumes } from './storage/volumes-host.ts'
import { createEventSpool } from './store/event-spool.ts'
import { createKeptStore } from './store/kept-store.ts'
import { createMoveStore, type MoveRow } from './store/move-store.ts'
import { createOrderStore } from './store/order-store.ts'
import { AGENT_MIGRATIONS } from './store/tables.ts'
import { createVmMarks } from './store/vm-marks.ts'

/** The doors to the world an agent works through. Real ones come from `hostSeams`, simulated ones from agent/sim. */
export interface AgentSeams {
  readonly hypervisor: Hypervisor
  readonly volumes: Volumes
  readonly hostFiles: HostFiles
  /** Undefined: this blade has no BMC that may be asked. */
  readonly power: Power | undefined
  readonly run: CommandRunner
  /** Where the hypervisor wants its migration sockets. */
  readonly socketDirectories: readonly SocketDirectory[]
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
  /** Told the directories that hold disk files of VMs, whenever the inventory has looked. */
  readonly onDirectories?: (directories: readonly string[]) => void
}

export interface Agent {
  readonly blade: string
  /** host:port of the peer port as bound. */
  readonly peerListen: string
  isConnected(): boolean
  /** Leaves orders at work in the journal; the next agent over the same state takes them up. */
  close(): Promise<void>
}

/** The real blade: virsh, LVM, sysfs, ipmitool. */
export function hostSeams(config: HostConfig, log: Logger): AgentSeams {
  const clock = systemClock
  const run = createCommandRunner(clock)
  const hostFiles = createHostFiles()
  // Volumes looks into the directories the inventory finds; the inventory asks Volumes. The list stands between.
  let directories: readonly string[] = []
  return {
    clock,
    run,
    hostFiles,
    ids: randomIds,
    log,
    hypervisor: createVirshHypervisor({
      run,
      uri: config.libvirtUri,
      clock,
      log: log.child('hypervisor'),
      bridges: () => listBridges(hostFiles),
    }),
    volumes: createHostVolumes({ run, clock, log: log.child('storage'), directories: () => directories }),
    power: config.bmc === undefined ? undefined : createIpmitoolPower({ run, access: config.bmc }),
    socketDirectories: socketDirectories(SOCKET_DIRECTORY),
    onDirectories: found => {
      directories = found
    },
  }
}

/**
 * Joins everything and starts it. Order: the peer port first (it fails early when another agent runs here), then the
 * journal is taken up, and only then the controller is dialled, so that no order meets a half-recovered blade.
 * Errors: `not-found` when this blade has not joined, `unavailable` for a port or database that cannot be opened.
 */
export async function createAgent(config: AgentConfig, seams: AgentSeams): Promise<Agent> {
  const joined = await readIdentity(config.stateDir)
  if (joined === undefined) {
    throw new LifeboatError(
      'not-found',
      "this blade has not joined a fleet: 'lifeboat blade add' on the controller, then 'lifeboat-agent join' here",
    )
  }
  const db = openDatabase(join(config.stateDir, 'agent.sqlite'), AGENT_MIGRATIONS)
  try {
    return await assemble(config, seams, joined, db)
  } catch (error) {
    db.close()
    throw error
  }
}

async function assemble(
  config: AgentConfig,
  seams: AgentSeams,
  joined: BladeIdentity,
  db: Database.Database,
): Promise<Agent> {
  const { clock, log } = seams
  const holder: IdentityHolder = { current: joined }
  const bootId = await readBootId(seams)
  const stores = openStores(db, seams, () => uplink.eventAdded())
  const uplink: Uplink = createUplink({
    clock,
    spool: stores.spool,
    report: () => reporter.report(),
    status: orderId => operations.desk.status(orderId),
    owed: () => operations.desk.statuses().map(status => status.orderId),
    working: () => operations.desk.working(),
  })
  const peer = await openPeerPort(config, {
    seams,
    stores,
    holder,
    bootId,
    onChange: () => inventory.nudge(),
  })
  const probes = startProbes({
    probes: makeProbes(seams),
    clock,
    log: log.child('health'),
    onChange: () => reporter.look(),
  })
  const reporter = createReporter({
    clock,
    inventory: () => inventory.state(),
    facts: () => probes.facts(),
    onChange: () => uplink.reportChanged(),
  })
  const inventory: Inventory = startInventory({
    hypervisor: seams.hypervisor,
    volumes: seams.volumes,
    moves: stores.moves,
    marks: stores.marks,
    reserveBytes: config.reserveBytes,
    clock,
    log: log.child('inventory'),
    onLook: () => reporter.look(),
    onDirectories: directories => seams.onDirectories?.(directories),
  })
  const operations = createOperations({ seams, stores, holder, bootId, peer, inventory, uplink })
  const sweeper = startSweeper({
    volumes: seams.volumes,
    kept: stores.kept,
    run: seams.run,
    clock,
    log: log.child('storage'),
    tell: stores.spool.add,
    onChange: () => inventory.nudge(),
  })
  await recover({
    desk: operations.desk,
    moves: stores.moves,
    hypervisor: seams.hypervisor,
    runFor: peer.runFor,
    bootId,
    log: log.child('operations'),
  })
  stores.spool.add('agent-started', '', `lifeboat-agent ${VERSION}`)
  const session = dial(config, { seams, stores, holder, bootId, uplink, desk: operations.desk, peer })
  const renewal = startRenewal({
    current: () => holder.current,
    stateDir: config.stateDir,
    clock,
    log: log.child('certificate'),
    onRenewed: renewed => {
      holder.current = renewed
      peer.server.renew(renewed.identity)
      session.reconnect()
    },
  })

  return {
    blade: joined.blade,
    peerListen: peer.server.address,
    isConnected: () => session.isConnected(),
    close: async () => {
      // First and in this turn: a step that fails because something else goes away must know that it is the end.
      const sagasStopped = operations.runner.close()
      await renewal.stop()
      await session.close()
      await sagasStopped
      await Promise.all([sweeper.stop(), inventory.close(), probes.close()])
      await peer.server.close()
      db.close()
    },
  }
}

interface IdentityHolder {
  current: BladeIdentity
}

function openStores(db: Database.Database, seams: AgentSeams, onEvent: () => void) {
  const { clock, ids } = seams
  return {
    orders: createOrderStore(db),
    moves: createMoveStore(db, clock),
    marks: createVmMarks(db),
    kept: createKeptStore(db),
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

interface Shared {
  readonly seams: AgentSeams
  readonly stores: Stores
  readonly holder: IdentityHolder
  readonly bootId: string
}

async function openPeerPort(config: AgentConfig, parts: Shared & { onChange: () => void }) {
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

function makeProbes(seams: AgentSeams): Probe[] {
  const { clock, hostFiles: files, power } = seams
  const probes = [createMirrorProbe({ files, clock }), createBondProbe({ files, clock })]
  return power === undefined ? probes : [...probes, createPowerProbe({ power, clock })]
}

function createOperations(parts: Shared & { peer: PeerPort; inventory: Inventory; uplink: Uplink }): {
  desk: OrderDesk
  runner: SagaRunner<OperationServices>
} {
  const { seams, stores, holder, bootId, peer, inventory, uplink } = parts
  const { clock } = seams
  const log = seams.log.child('operations')
  const peers = createPeerClient({ identity: () => holder.current.identity, clock })
  const servicesFor = (orderId: string): OperationServices => ({
    ...stores,
    hypervisor: seams.hypervisor,
    volumes: seams.volumes,
    peers,
    run: seams.run.observed(record => keepCommand(stores, log, orderId, record)),
    clock,
    log,
    bootId,
    lookUp: inventory.lookUp,
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
      desk.onSaga(view)
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
  return { desk, runner }
}

function dial(
  config: AgentConfig,
  parts: Shared & { uplink: Uplink; desk: OrderDesk; peer: PeerPort },
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
    uplink: parts.uplink,
    clock: seams.clock,
    ids: seams.ids,
    log: seams.log.child('session'),
  })
}

/** Tells a restarted agent from a rebooted blade. */
async function readBootId({ hostFiles, ids }: AgentSeams): Promise<string> {
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
  if (bound !== '0.0.0.0' && bound !== '::') return joinAddress(bound, server.port)
  const { host, port } = splitAddress(controller)
  return joinAddress((await ownAddressTowards(host, port)) ?? '127.0.0.1', server.port)
}
