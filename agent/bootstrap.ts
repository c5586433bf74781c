import { join } from 'node:path'
import type Database from 'better-sqlite3'
import { randomIds, systemClock } from '../shared/clock.ts'
import { LifeboatError } from '../shared/errors.ts'
import { createCommandRunner } from '../shared/exec-node.ts'
import type { Logger } from '../shared/log.ts'
import { openDatabase } from '../shared/sqlite.ts'
import { VERSION } from '../shared/version.ts'
import { createLvmSnapshots } from './backup/lvm/engine.ts'
import { createWorkerTransfer } from './backup/transfer/worker-transfer.ts'
import { createNetworkVaults } from './backup/vaults-network.ts'
import { followSchedule, startCollecting } from './backup-parts.ts'
import type { AgentConfig, HostConfig } from './config.ts'
import { listBridges } from './health/bridges.ts'
import { createHostFiles } from './health/host-files-node.ts'
import { createIpmitoolPower } from './health/power-ipmitool.ts'
import { startProbes } from './health/probes.ts'
import { SOCKET_DIRECTORY, socketDirectories } from './hypervisor/sockets.ts'
import { createVirshHypervisor } from './hypervisor/virsh.ts'
import { type Inventory, startInventory } from './inventory/inventory.ts'
import type { Loop } from './loop.ts'
import { recover } from './operations/recovery.ts'
import { startSweeper } from './operations/sweeper.ts'
import {
  createOperations,
  dial,
  type IdentityHolder,
  makeProbes,
  openPeerPort,
  openStores,
  readBootId,
} from './parts.ts'
import type { AgentSeams } from './seams.ts'
import { type BladeIdentity, readIdentity } from './session/identity-file.ts'
import { startRenewal } from './session/renewal.ts'
import { createReporter } from './session/reporter.ts'
import { createUplink, type Uplink } from './session/uplink.ts'
import { createHostVolumes } from './storage/volumes-host.ts'
import { AGENT_MIGRATIONS } from './store/tables.ts'

/** A running agent. */
export interface Agent {
  readonly blade: string
  /** host:port of the peer port as bound. */
  readonly peerListen: string
  isConnected(): boolean
  /** Leaves orders at work in the journal; the next agent over the same state takes them up. */
  close(): Promise<void>
}

/** Where libvirt keeps disk files: a blade takes VMs with such disks although it has none yet. */
const IMAGE_DIRECTORY = '/var/lib/libvirt/images'

/** The real blade: virsh, LVM, sysfs, ipmitool. */
export function hostSeams(config: HostConfig, log: Logger): AgentSeams {
  const clock = systemClock
  const run = createCommandRunner(clock)
  const hostFiles = createHostFiles()
  // Volumes looks into the directories the inventory finds; the inventory asks Volumes. The list stands between.
  let directories: readonly string[] = [IMAGE_DIRECTORY]
  const volumes = createHostVolumes({
    run,
    clock,
    log: log.child('storage'),
    directories: () => directories,
  })
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
    snapshots: createLvmSnapshots({
      uri: config.libvirtUri,
      files: hostFiles,
      clock,
      log: log.child('snapshots'),
      makeRoom: volumes.makeRoom,
    }),
    transfer: createWorkerTransfer({
      run,
      clock,
      log: log.child('transfer'),
      fingerprints: join(config.stateDir, 'fingerprints'),
    }),
    vaults: createNetworkVaults(clock),
    volumes,
    power: config.bmc === undefined ? undefined : createIpmitoolPower({ run, access: config.bmc }),
    socketDirectories: socketDirectories(SOCKET_DIRECTORY),
    // What was once found stays: a directory whose last VM has left holds its kept volumes.
    onDirectories: found => {
      directories = [...new Set([...directories, ...found])].sort()
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
  let schedule: Loop | undefined
  const operations = createOperations({
    seams,
    stores,
    holder,
    bootId,
    peer,
    inventory,
    uplink,
    onBackupEnd: () => schedule?.nudge(),
  })
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
    backups: operations.backups,
    desk: operations.desk,
    moves: stores.moves,
    hypervisor: seams.hypervisor,
    runFor: peer.runFor,
    bootId,
    log: log.child('operations'),
  })
  stores.spool.add('agent-started', '', `lifeboat-agent ${VERSION}`)
  const { runner, desk } = operations
  const following = followSchedule({ seams, stores, holder, bootId, runner, inventory })
  schedule = following
  const collecting = startCollecting({ seams, backups: operations.backups, inventory })
  const onBackupSettings = () => following.nudge()
  const session = dial(config, { seams, stores, holder, bootId, uplink, desk, peer, onBackupSettings })
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
      const sagasStopped = runner.close()
      const scheduleStopped = following.stop()
      await renewal.stop()
      await session.close()
      await sagasStopped
      await Promise.all([scheduleStopped, collecting.stop()])
      await Promise.all([sweeper.stop(), inventory.close(), probes.close()])
      await peer.server.close()
      db.close()
    },
  }
}
