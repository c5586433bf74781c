import { type Clock, type IdSource, randomIds, systemClock } from '../shared/clock.ts'
import { MINUTE_MS } from '../shared/domain/units.ts'
import type { Service } from '../shared/lifecycle.ts'
import { createLogger, type Logger } from '../shared/log.ts'
import { formatAddress } from '../shared/rpc/address.ts'
import { fingerprint, type Identity } from '../shared/rpc/certificates.ts'
import {
  createLocalCredentials,
  createServer,
  createServerCredentials,
  serve,
  stopServer,
} from '../shared/rpc/endpoint.ts'
import { createLogNotifier, createWebhookNotifier, type Notifier } from './alerts/notifiers.ts'
import { createOutbox } from './alerts/outbox.ts'
import { createAdminService } from './api/admin-service.ts'
import { authorise } from './api/authorise.ts'
import { alertToWire } from './api/views.ts'
import { createBootTestNights } from './backup/boot-test-nights.ts'
import { createRestores } from './backup/restores.ts'
import { namesForRetention, retentionPolicies } from './backup/retention.ts'
import { createSettingsPush } from './backup/settings-push.ts'
import { createVaultClients } from './backup/vault-client.ts'
import { createVaults } from './backup/vaults.ts'
import { type Changes, createChanges } from './changes.ts'
import { type ControllerConfig, databasePath } from './config.ts'
import { ensurePki } from './enrolment/authority.ts'
import { createEnrolment } from './enrolment/enrolment-service.ts'
import { localAddresses } from './enrolment/init.ts'
import { automationOf } from './evacuation/automation.ts'
import { brakeOn } from './evacuation/brakes.ts'
import { createEvacuations } from './evacuation/evacuations.ts'
import { createFleetState } from './fleet/fleet-state.ts'
import { createAgentServices } from './fleet/intake-rpc.ts'
import { createIntake } from './fleet/intake-service.ts'
import { createSessions } from './fleet/sessions.ts'
import { createOperations } from './operations/operations.ts'
import { createOrders } from './operations/orders.ts'
import { createReconciler, type Reconciler } from './reconciler.ts'
import { openStore, type Store } from './store/store.ts'

export interface Controller extends Service {
  /** host:port agents reach it by; the port is the real one also when the configuration says 0. */
  readonly grpcAddress: string
}

/** What tests and the simulation replace. */
export interface ControllerOverrides {
  readonly clock?: Clock
  readonly ids?: IdSource
  readonly log?: Logger
  readonly notifiers?: readonly Notifier[]
}

/** Calls under way get this long when the controller stops. */
const STOP_LIMIT_MS = 5_000
/** Start, stop, pause, resume: a guest's orderly shutdown takes a few minutes at most. */
const ACTION_DEADLINE_MS = 10 * MINUTE_MS

/**
 * The only place where implementations are chosen and joined. Starts listening last: whoever is answered is answered
 * by a controller that has taken up what an earlier run left.
 */
export async function createController(
  config: ControllerConfig,
  overrides: ControllerOverrides = {},
): Promise<Controller> {
  const clock = overrides.clock ?? systemClock
  const log = overrides.log ?? createLogger({ level: config.logLevel, format: 'journal' })
  const pki = await ensurePki(config.stateDir, clock.now(), undefined, localAddresses())
  const store = openStore(databasePath(config))
  const notifiers = overrides.notifiers ?? configuredNotifiers(config, log)
  // Late-bound: the parts below tell each other that something changed, and the loop is made after them.
  let reconciler: Reconciler | undefined
  const nudge = () => reconciler?.nudge()
  const ids = overrides.ids ?? randomIds
  const parts = joinParts({ config, store, identity: pki.identity, clock, ids, log, notifiers, nudge })
  reconciler = parts.reconciler

  const port = { number: 0 }
  const stopping = new AbortController()
  const intake = createIntake({
    ...parts,
    store,
    clock,
    log: log.child('intake'),
    reportIntervalMs: config.liveness.reportIntervalMs,
    backupEnded: end => {
      store.backups.addOutcome(end)
      parts.vaults.look()
    },
    nudge,
  })
  const enrolment = createEnrolment({
    store,
    authority: pki.authority,
    clock,
    log: log.child('enrolment'),
    onJoined: () => {
      parts.vaults.look()
      nudge()
    },
  })
  const admin = createAdminService({
    ...parts,
    store,
    clock,
    ids,
    log: log.child('api'),
    config,
    authorityFingerprint: fingerprint(pki.authority.certificatePem),
    joinAddress: () => formatAddress(pki.addresses[0] ?? 'localhost', port.number),
    reconciler: () => parts.reconciler.view(),
    stopping: stopping.signal,
    nudge,
  })
  const server = createServer([...createAgentServices(intake, enrolment), admin], {
    log: log.child('rpc'),
    authorise,
  })
  const close = async () => {
    // In one breath: agents are not told to abort, and the sagas know that they stop before they see the rejection.
    parts.orders.close()
    const sagasStopped = parts.operations.close()
    parts.sessions.end()
    stopping.abort()
    await sagasStopped
    await stopServer(server, STOP_LIMIT_MS, clock)
    await parts.reconciler.close()
    await parts.vaults.close()
    await parts.bootTests.idle()
    store.close()
  }
  try {
    parts.operations.resume()
    const [bound] = await serve(server, [
      { address: config.listen.grpc, credentials: createServerCredentials(pki.identity) },
      { address: `unix:${config.listen.socket}`, credentials: createLocalCredentials(), mode: 0o660 },
    ])
    port.number = bound ?? 0
  } catch (error) {
    await close()
    throw error
  }
  const grpcAddress = config.listen.grpc.replace(/:\d+$/, `:${port.number}`)
  log.info(`listening on ${grpcAddress} for agents and on ${config.listen.socket} for people`)
  return { grpcAddress, close }
}

interface Foundation {
  readonly config: ControllerConfig
  readonly store: Store
  readonly identity: Identity
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
  readonly notifiers: readonly Notifier[]
  readonly nudge: () => void
}

function joinParts({ config, store, identity, clock, ids, log, notifiers, nudge }: Foundation) {
  const changes = createChanges()
  const sessions = createSessions(log.child('intake'))
  const fleet = createFleetState({
    store,
    log: log.child('fleet'),
    limits: { ...config.placement, liveness: config.liveness },
  })
  const onChange = (id: string) => {
    announce(changes, store, id)
    nudge()
  }
  const orders = createOrders({
    store,
    sessions,
    clock,
    log: log.child('orders'),
    onStatus: id => announce(changes, store, id),
  })
  const clients = createVaultClients(store, identity)
  const vaults = createVaults({
    store,
    clients,
    clock,
    log: log.child('vaults'),
    retention: () =>
      retentionPolicies(
        config.backup,
        namesForRetention(store.vms.list(), store.points.list(), store.vms.bladesOf),
      ),
    onChange: nudge,
  })
  const settingsPush = createSettingsPush({ store, fleet, sessions, config: config.backup })
  const operations = createOperations({
    services: {
      store,
      orders,
      fleet,
      vaults: clients,
      lookAtVaults: vaults.look,
      clock,
      log: log.child('operations'),
    },
    graceMs: config.evacuation.graceMs,
    moveDeadlineMs: config.evacuation.moveDeadlineMs,
    actionDeadlineMs: ACTION_DEADLINE_MS,
    onChange,
  })
  const evacuations = createEvacuations(
    { store, fleet, clock, log: log.child('evacuation') },
    operations,
    config.evacuation,
    () => brakeOn(automationOf(store, config), store.cases.open(), fleet.snapshot(clock.now()).blades),
  )
  const outbox = createOutbox({ store, notifiers, clock, log: log.child('alerts') })
  const restores = createRestores({
    store,
    fleet,
    vaults: clients,
    operations,
    clock,
    ids,
    config: config.backup,
  })
  const bootTests = createBootTestNights({
    store,
    restores,
    operations,
    config: config.backup.bootTest,
    clock,
    log: log.child('boot tests'),
  })
  const reconciler = createReconciler({
    store,
    fleet,
    operations,
    evacuations,
    settingsPush,
    bootTests,
    outbox,
    config,
    clock,
    log: log.child('reconciler'),
    payloadOf: alert => JSON.stringify(alertToWire(alert)),
  })
  return {
    changes,
    sessions,
    fleet,
    orders,
    operations,
    evacuations,
    clients,
    vaults,
    settingsPush,
    restores,
    bootTests,
    reconciler,
  }
}

/** Who watches an evacuation wants to see its moves. */
function announce(changes: Changes, store: Store, id: string): void {
  changes.emit(id)
  const parent = store.operations.get(id)?.parent ?? ''
  if (parent !== '') changes.emit(parent)
}

function configuredNotifiers(config: ControllerConfig, log: Logger): Notifier[] {
  const notifiers = [createLogNotifier(log.child('alerts'))]
  if (config.alerts.webhook !== '') notifiers.push(createWebhookNotifier(config.alerts.webhook))
  return notifiers
}
