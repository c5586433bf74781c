import { join } from 'node:path'
import type { Clock, IdSource } from '../../shared/clock.ts'
import { randomIds, systemClock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import type { Logger } from '../../shared/log.ts'
import { formatAddress, splitAddress } from '../../shared/rpc/address.ts'
import { createServer, createServerCredentials, serve, stopServer } from '../../shared/rpc/endpoint.ts'
import { type BladeIdentity, readIdentity } from '../session/identity-file.ts'
import { startRenewal } from '../session/renewal.ts'
import { startChores } from './chores.ts'
import type { VaultConfig } from './config.ts'
import { type GrantBook, openGrantBook } from './control/grants.ts'
import { authoriseControl, createControlService } from './control/service.ts'
import { createVaultDoor } from './door/server.ts'
import { openVaultStore, type VaultStore } from './store/vault-store.ts'

/** A check or a collection under way is cut off; both may be asked for again. */
const STOP_LIMIT_MS = 2000

/** A running vault. */
export interface VaultService {
  readonly name: string
  /** host:port of the door for the controller, as bound. */
  readonly controlAddress: string
  /** host:port of the door for agents, as bound. */
  readonly doorAddress: string
  /** Backups coming in are aborted; nothing of them is listed. */
  close(): Promise<void>
}

export interface VaultSeams {
  readonly clock: Clock
  readonly ids: IdSource
  readonly run: CommandRunner
  readonly log: Logger
}

/** Of this host. */
export function vaultSeams(log: Logger): VaultSeams {
  return { clock: systemClock, ids: randomIds, run: createCommandRunner(systemClock), log }
}

/**
 * Opens the vault and both its doors. It makes none: on a disk that is not mounted an empty vault would look like the
 * loss of every backup. Errors: `not-found` (not joined, no vault there), `busy` (another writer), `unavailable` (port).
 */
export async function createVault(config: VaultConfig, seams: VaultSeams): Promise<VaultService> {
  const joined = await readIdentity(config.stateDir)
  if (joined === undefined) {
    throw new LifeboatError(
      'not-found',
      "this vault has not joined a fleet: 'lifeboat vault add' on the controller, then 'lifeboat-vault join' here",
    )
  }
  const { clock, log } = seams
  const grants = openGrantBook(join(config.stateDir, 'grants.json'), clock, error =>
    log.warn('the grants cannot be read and are void; the controller gives new ones', { error }),
  )
  const { grantOf } = grants
  const store = openVaultStore({ ...storeOptions(config, seams), access: 'write', grantOf })
  // In the order of opening; closed the other way round, also when the rest cannot be opened.
  const opened: (() => Promise<void>)[] = [() => store.close()]
  const closeAll = async () => {
    for (const close of opened.splice(0).reverse()) await close()
  }
  try {
    return { ...(await openDoors(config, seams, joined, { store, grants }, opened)), close: closeAll }
  } catch (error) {
    await closeAll()
    throw error
  }
}

/** How `lifeboat-vault join` makes the directory a vault, before the service ever runs. */
export async function makeVaultDirectory(config: VaultConfig, seams: VaultSeams): Promise<void> {
  await openVaultStore({ ...storeOptions(config, seams), access: 'create' }).close()
}

function storeOptions(config: VaultConfig, { clock, ids, log, run }: VaultSeams) {
  const { dir, maxSessions, reservePercent } = config
  return { dir, maxSessions, reservePercent, clock, ids, run, log: log.child('store') }
}

/** Each thing that is opened puts its end on `opened`. */
async function openDoors(
  config: VaultConfig,
  seams: VaultSeams,
  joined: BladeIdentity,
  { store, grants }: { readonly store: VaultStore; readonly grants: GrantBook },
  opened: (() => Promise<void>)[],
): Promise<Omit<VaultService, 'close'>> {
  const { clock, log } = seams
  let current = joined
  const door = await createVaultDoor({
    listen: config.doorListen,
    identity: joined.identity,
    vaultFor: blade => store.visibleTo(blade, ref => grants.holds(blade, ref)),
    clock,
    log: log.child('door'),
  })
  opened.push(() => door.close())
  const { scrub, cleaning } = config
  const chores = startChores({ store, scrub, cleaning, clock, log: log.child('chores') })
  opened.push(() => chores.close())

  const controlLog = log.child('control')
  const control = { name: joined.blade, store, grants, chores, agentsPort: door.port, clock, log: controlLog }
  const server = createServer([createControlService(control)], {
    log: controlLog,
    authorise: authoriseControl,
  })
  const credentials = createServerCredentials(joined.identity)
  const [port = 0] = await serve(server, [{ address: config.controlListen, credentials }])
  opened.push(() => stopServer(server, STOP_LIMIT_MS, clock))

  const renewal = startRenewal({
    current: () => current,
    stateDir: config.stateDir,
    clock,
    log: log.child('certificate'),
    onRenewed: renewed => {
      current = renewed
      credentials.replace(renewed.identity)
      door.renew(renewed.identity)
    },
  })
  opened.push(() => renewal.stop())
  const { host } = splitAddress(config.controlListen)
  return { name: joined.blade, controlAddress: formatAddress(host, port), doorAddress: door.address }
}
