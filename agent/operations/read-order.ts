import type { Order } from '../../proto/gen/lifeboat/v1/intake.ts'
import { parseVmId, parseVmName } from '../../shared/domain/ids.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json } from '../../shared/saga/definition.ts'
import { DEFINITIONS } from './definitions.ts'
import type { OrderHeader, OrderKind } from './orders.ts'

export interface ReadOrder {
  readonly header: OrderHeader
  readonly vmName: string
  /** Plain JSON, checked by the definition that will read it back. */
  readonly params: Json
}

const KIND_OF_CASE: Record<NonNullable<Order['kind']>['$case'], OrderKind> = {
  start: 'start-vm',
  stop: 'stop-vm',
  pause: 'pause-vm',
  resume: 'resume-vm',
  prepareIncoming: 'prepare-incoming',
  sendLive: 'send-live',
  sendCold: 'send-cold',
  confirmIncoming: 'confirm-incoming',
  discardIncoming: 'discard-incoming',
  releaseSource: 'release-source',
  backup: 'backup-vm',
  restore: 'restore-vm',
  bootTest: 'boot-test',
}

/**
 * An order off the wire → what is journaled. `nameOf` tells the name of a VM that is here.
 * Throws `version-mismatch` for a kind of order this agent does not know, `bad-input` for what cannot be right.
 */
export function readOrder(order: Order, nameOf: (vmId: string) => string): ReadOrder {
  if (order.kind === undefined) {
    throw new LifeboatError(
      'version-mismatch',
      'the controller sent a kind of order this agent does not know: upgrade the agent',
    )
  }
  if (order.orderId === '') throw new LifeboatError('bad-input', 'the order has no id')
  const kind = KIND_OF_CASE[order.kind.$case]
  const vmId = parseVmId(order.vmId)
  const arriving = 'vm' in order.kind.value ? order.kind.value.vm : undefined
  if (arriving !== undefined && arriving.id !== vmId) {
    throw new LifeboatError('bad-input', `the order is for VM ${vmId} and describes ${arriving.id}`)
  }
  const vmName = arriving === undefined ? nameOf(vmId) : parseVmName(arriving.name)
  const { generation, epoch, deadlineAt } = order
  const params = { vmId, vmName, generation, epoch, deadlineAt, ...ownParams(order.kind) } as unknown as Json
  DEFINITIONS[kind].parseParams(params)
  const moveId = 'moveId' in order.kind.value ? order.kind.value.moveId : ''
  return {
    header: { orderId: order.orderId, kind, vmId, generation, epoch, deadlineAt, moveId },
    vmName,
    params,
  }
}

/** Of a VM that is to come only its volumes are journaled: the rest says the definition that comes with it. */
function ownParams(kind: NonNullable<Order['kind']>): object {
  if (!('vm' in kind.value)) return kind.value
  const { vm, ...rest } = kind.value
  return { ...rest, volumes: vm?.volumes }
}
