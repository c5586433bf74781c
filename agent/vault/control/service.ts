import { VaultControlService, type VaultStatus as WireStatus } from '../../../proto/gen/lifeboat/v1/vault.ts'
import type { Clock } from '../../../shared/clock.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import {
  type CallContext,
  type Implementation,
  type RpcService,
  rpcService,
} from '../../../shared/rpc/endpoint.ts'
import type { Chores } from '../chores.ts'
import { formatManifest } from '../format/manifest.ts'
import type { VaultStore } from '../store/vault-store.ts'
import type { GrantBook } from './grants.ts'
import { pointToWire, policiesFromWire, refFromWire, statusToWire, verdictToWire } from './wire.ts'

export interface ControlOptions {
  readonly name: string
  readonly store: VaultStore
  readonly grants: GrantBook
  readonly chores: Chores
  /** Port of the door for agents, as bound. */
  readonly agentsPort: number
  readonly clock: Clock
  readonly log: Logger
}

/** The controller, and administrators with a certificate: nobody else has a word here, blades least of all. */
export function authoriseControl({ method, peer }: Pick<CallContext, 'method' | 'peer'>): void {
  if (peer.role === 'none') {
    throw new LifeboatError('not-authenticated', 'no valid certificate of this fleet was shown')
  }
  if (peer.role === 'controller' || peer.role === 'admin' || peer.role === 'local') return
  throw new LifeboatError('not-allowed', `role ${peer.role} may not call ${method}`)
}

/** VaultControl over the store: converts and asks; decides nothing. */
export function createControlService(options: ControlOptions): RpcService {
  return rpcService(VaultControlService, { ...looking(options), ...working(options) })
}

type Handlers = Implementation<VaultControlService>

async function statusOf({ name, store, agentsPort, clock }: ControlOptions): Promise<WireStatus> {
  return statusToWire(await store.status(), { name, agentsPort, nowAt: clock.now() })
}

function looking(
  options: ControlOptions,
): Pick<Handlers, 'getVaultStatus' | 'listPoints' | 'getPoint' | 'checkPoint'> {
  const { store } = options
  return {
    getVaultStatus: () => statusOf(options),
    listPoints: async ({ vmId }) => ({
      points: (await store.points(vmId === '' ? undefined : vmId)).map(pointToWire),
    }),
    getPoint: async request => {
      const point = await store.summary(refFromWire(request))
      const manifestJson = point.manifest === undefined ? '' : formatManifest(point.manifest)
      return { summary: pointToWire(point), manifestJson }
    },
    checkPoint: async (request, { signal }) => {
      const ref = refFromWire(request)
      await store.check(ref, { signal })
      return pointToWire(await store.summary(ref))
    },
  }
}

function working(
  options: ControlOptions,
): Pick<Handlers, 'setRetention' | 'prune' | 'collect' | 'scrub' | 'recordBoot' | 'grant'> {
  const { store, grants, chores, log } = options
  return {
    setRetention: async request => {
      store.setRetention(policiesFromWire(request))
      return await statusOf(options)
    },
    prune: async ({ dryRun, vmId }) => {
      const verdicts = await store.prune({ dryRun, ...(vmId === '' ? {} : { vmId }) })
      return { verdicts: verdicts.map(verdictToWire) }
    },
    collect: async ({ dryRun }, { signal }) => ({ ...(await store.collect({ dryRun, signal })) }),
    scrub: async ({ stop }) => {
      if (stop) await chores.stopScrub()
      else await chores.beginScrub()
      return await statusOf(options)
    },
    recordBoot: async ({ point, at, ok, recoveryMs, error }) =>
      pointToWire(await store.recordBoot(refFromWire(point), { at, ok, recoveryMs, error })),
    grant: async ({ point, blade, operation, expiresAt }) => {
      const ref = refFromWire(point)
      const { vm } = await store.summary(ref)
      grants.add({ ...ref, blade, operation, expiresAt })
      // Dropped just before: from here on it stays.
      await store.summary(ref)
      log.info(`${blade} may read ${vm}@${ref.point}`, {
        operation,
        until: new Date(expiresAt).toISOString(),
      })
      return await statusOf(options)
    },
  }
}
