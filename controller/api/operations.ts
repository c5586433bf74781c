import { LifeboatError } from '../../shared/errors.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { requireOperation } from './find.ts'
import { operationToWire } from './operation-view.ts'

/** The newest; older ones are in the database and in the log. */
const LIST_LIMIT = 500

/** List, show, abort. An operation that has ended is `refused`. */
export function operationHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'listOperations' | 'getOperation' | 'abortOperation'> {
  const { store } = context
  return {
    listOperations: ({ all, blade, vm }) => ({
      operations: store.operations
        .list({ all, limit: LIST_LIMIT })
        .filter(each => blade === '' || each.from === blade || each.to === blade)
        .filter(each => vm === '' || each.vm === vm || each.vmId === vm)
        .map(each => operationToWire(context, each)),
    }),
    getOperation: ({ id }) => operationToWire(context, requireOperation(store, id)),
    abortOperation: ({ id }, caller) => {
      const operation = requireOperation(store, id)
      if (operation.endedAt > 0) {
        throw new LifeboatError(
          'refused',
          `operation ${id} has ended already (${operation.state}): ${operation.outcome}; lifeboat operation show ${id}`,
        )
      }
      if (operation.kind === 'evacuate') context.evacuations.abort(id, caller)
      else context.operations.abort(id, caller)
      context.nudge()
      return operationToWire(context, requireOperation(store, id))
    },
  }
}
