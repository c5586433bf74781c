import * as z from 'zod'
import type { Order } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { VmState } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition } from '../../shared/saga/definition.ts'
import { unseenRestore } from '../backup/unseen-restore.ts'
import type { FleetSnapshot, Reservation, VmView } from '../fleet/snapshot.ts'
import { admit } from '../placement/gate.ts'
import { runOrder } from './order-step.ts'
import type { OperationServices } from './services.ts'

export const VM_ACTIONS = {
  start: 'starts the VM where it is',
  stop: 'shuts it down; with force pulls the plug',
  pause: 'stops its execution, keeps its memory',
  resume: 'lets it execute again',
} as const
export type VmAction = keyof typeof VM_ACTIONS

const PARAMS = z.object({
  vmId: z.string(),
  vm: z.string(),
  blade: z.string(),
  force: z.boolean(),
  deadlineAt: z.number(),
})
export type VmActionParams = z.output<typeof PARAMS>

/** start, stop, pause, resume: one order each, a saga all the same, so that it survives a restart and can be aborted. */
export function vmActionSaga(action: VmAction): SagaDefinition<VmActionParams, OperationServices> {
  return {
    kind: action,
    parseParams: json => {
      const result = PARAMS.safeParse(json)
      if (result.success) return result.data
      throw new LifeboatError('bad-input', `the journal holds a ${action} this version cannot read`)
    },
    steps: [
      {
        name: 'admit',
        probe: 'repeat',
        do: async ({ params, services, sagaId }): Promise<Json> => {
          const starts = action === 'start' ? checkStart(params, services, sagaId) : undefined
          // In one synchronous piece with the check: the next start must see that this one takes the memory (rule 5).
          return services.store.transaction(() => {
            if (starts !== undefined) {
              services.store.operations.update(sagaId, { reservation: reservationOf(sagaId, starts) })
            }
            return services.store.vms.raise(params.vmId, starts !== undefined && params.force)
          })
        },
      },
      {
        name: action,
        probe: 'repeat',
        do: async context => {
          const marks = context.results.admit as { epoch: number; generation: number }
          const outcome = await runOrder(context.services, {
            blade: context.params.blade,
            operation: context.sagaId,
            step: action,
            deadlineAt: context.params.deadlineAt,
            vmId: context.params.vmId,
            ...marks,
            kind: orderKind(action, context.params.force),
            again: false,
            signal: context.signal,
          })
          noteEnd(STATE_AFTER[action], context.params, context.services)
          return outcome
        },
      },
    ],
  }
}

/**
 * Rules 5 and 6 hold for a start too: a stopped VM takes no memory until then. Returns the VM when it is to start.
 * A forced start is also the way out of a move that ended half way: its higher epoch overrules the hold which the
 * source's agent keeps on the VM. So it needs to be known that the other end does not run it (rule 1).
 */
function checkStart(
  params: VmActionParams,
  services: OperationServices,
  operation: string,
): VmView | undefined {
  const snapshot = services.fleet.snapshot(services.clock.now(), operation)
  const vm = snapshot.vms.find(each => each.id === params.vmId)
  if (vm === undefined) throw new LifeboatError('not-found', `no blade reports ${params.vm} any more`)
  if (vm.state === 'running') return undefined
  refuseHalfRestored(snapshot, params, services)
  const unseen = params.force ? unseenEnd(snapshot, params, services) : undefined
  if (unseen !== undefined) {
    throw new LifeboatError(
      'refused',
      `${params.vm} may run on ${unseen}, where a move of it ended half way, and ${unseen} does not report; bring it back, or cut its power, first`,
    )
  }
  const reasons = admit(snapshot, vm, params.blade, { purpose: 'start', override: params.force, operation })
  if (reasons.length === 0) return vm
  throw new LifeboatError('refused', `${params.vm} may not start on ${params.blade}`, {
    details: reasons.map(reason => reason.text),
  })
}

/** With force or without: no agent holds a VM back because it was restored elsewhere (rule 1). */
function refuseHalfRestored(
  snapshot: FleetSnapshot,
  { vmId, vm, blade }: VmActionParams,
  { store }: OperationServices,
): void {
  const unseen = unseenRestore(vmId, snapshot, store)
  if (unseen === undefined || unseen.to === blade) return
  throw new LifeboatError(
    'refused',
    `${vm} may run on ${unseen.to}, where operation ${unseen.id} may have restored it; bring ${unseen.to} back, or look there and acknowledge the alert of the operation, first`,
  )
}

/** The other end of an unsettled move of the VM, when nobody knows what runs there. */
function unseenEnd(
  snapshot: FleetSnapshot,
  { vmId, blade }: VmActionParams,
  { store }: OperationServices,
): string | undefined {
  const ends = store.operations
    .unsettled()
    .filter(each => each.vmId === vmId && each.kind === 'move')
    .flatMap(each => [each.from, each.to])
  return ends.find(end => end !== blade && snapshot.blades.find(each => each.name === end)?.liveness !== 'up')
}

const STATE_AFTER = { start: 'running', stop: 'stopped', pause: 'paused', resume: 'running' } as const

/**
 * The order's word stands until the agent has looked again: a start right behind this one must not find the memory
 * free, an evacuation right behind a stop must not plan a live move.
 */
function noteEnd(
  state: VmState,
  { vmId, blade }: VmActionParams,
  { store, fleet, clock }: OperationServices,
): void {
  const found = fleet.snapshot(clock.now()).vms.find(each => each.id === vmId && each.blade === blade)
  if (found === undefined) return
  const { blade: _blade, operation: _operation, seenAt: _seenAt, starting: _starting, ...vm } = found
  store.vms.place(vmId, blade, clock.now(), { ...vm, state, incoming: false })
  fleet.touch()
}

/** Memory alone: its volumes are there already. */
function reservationOf(operation: string, { id, name, memoryBytes }: VmView): Reservation {
  return { operation, vmId: id, vmName: name, memoryBytes, volumes: [] }
}

function orderKind(action: VmAction, force: boolean): NonNullable<Order['kind']> {
  switch (action) {
    case 'start':
      return { $case: 'start', value: {} }
    case 'stop':
      return { $case: 'stop', value: { force } }
    case 'pause':
      return { $case: 'pause', value: {} }
    case 'resume':
      return { $case: 'resume', value: {} }
  }
}
