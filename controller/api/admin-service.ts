import { AdminService, type Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CallContext, Implementation } from '../../shared/rpc/endpoint.ts'
import { type RpcService, rpcService } from '../../shared/rpc/endpoint.ts'
import { alertHandlers } from './alerts.ts'
import { automationHandlers } from './automation.ts'
import { backupHandlers, pointHandlers } from './backups.ts'
import { bladeHandlers } from './blades.ts'
import { capacityHandlers } from './capacity.ts'
import type { AdminHandlers, ApiContext, AsyncAdminHandlers } from './context.ts'
import { evacuationHandlers } from './evacuation.ts'
import { requireOperation } from './find.ts'
import { operationToWire } from './operation-view.ts'
import { operationHandlers } from './operations.ts'
import { rebalanceHandlers } from './rebalance.ts'
import { statusHandlers } from './status.ts'
import { vaultHandlers, vaultWorkHandlers } from './vaults.ts'
import { vmHandlers } from './vms.ts'
import { whyHandlers } from './why.ts'

/** A running copy reports twice a second; a person's terminal needs no more. */
const WATCH_INTERVAL_MS = 500

/** The Admin service of admin.proto, one file a noun. */
export function createAdminService(context: ApiContext): RpcService {
  const handlers: AdminHandlers & AsyncAdminHandlers = {
    ...statusHandlers(context),
    ...bladeHandlers(context),
    ...vmHandlers(context),
    ...evacuationHandlers(context),
    ...capacityHandlers(context),
    ...rebalanceHandlers(context),
    ...operationHandlers(context),
    ...alertHandlers(context),
    ...automationHandlers(context),
    ...whyHandlers(context),
    ...backupHandlers(context),
    ...pointHandlers(context),
    ...vaultHandlers(context),
    ...vaultWorkHandlers(context),
  }
  const unary = Object.fromEntries(
    Object.entries(handlers).map(([rpc, handler]) => [
      rpc,
      (request: unknown, call: CallContext) =>
        (handler as (request: unknown, caller: string) => unknown)(request, callerOf(call)),
    ]),
  )
  return rpcService(AdminService, {
    ...unary,
    watchOperation: (request: { id: string }, call: CallContext) =>
      watchOperation(context, request.id, AbortSignal.any([call.signal, context.stopping])),
  } as unknown as Implementation<typeof AdminService>)
}

/** For the record: `anna` by certificate, `local` on the socket. */
function callerOf({ peer }: CallContext): string {
  return peer.role === 'local' ? 'local' : peer.name
}

/** The operation now, after each change and while bytes move, and once more when it has ended. */
async function* watchOperation(
  context: ApiContext,
  id: string,
  signal: AbortSignal,
): AsyncIterable<Operation> {
  requireOperation(context.store, id)
  let changed = Promise.withResolvers<void>()
  const unsubscribe = context.changes.subscribe(id, () => changed.resolve())
  signal.addEventListener('abort', () => changed.resolve(), { once: true })
  let last = ''
  try {
    while (!signal.aborted) {
      const view = operationToWire(context, requireOperation(context.store, id))
      const text = JSON.stringify(view)
      if (text !== last) yield view
      last = text
      if (view.endedAt > 0) return
      const tick = new AbortController()
      await Promise.race([changed.promise, context.clock.sleep(WATCH_INTERVAL_MS, tick.signal)])
      tick.abort()
      changed = Promise.withResolvers<void>()
    }
    throw new LifeboatError('unavailable', `the controller stops; lifeboat operation watch ${id} in a moment`)
  } finally {
    unsubscribe()
  }
}
