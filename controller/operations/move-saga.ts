import * as z from 'zod'
import type { Vm } from '../../shared/domain/fleet.ts'
import { MINUTE_MS } from '../../shared/domain/units.ts'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, SagaStep, StepContext } from '../../shared/saga/definition.ts'
import { vmToWire } from '../../shared/wire/convert.ts'
import type { FleetSnapshot, Reservation, VmView } from '../fleet/snapshot.ts'
import { companyOf, recheckMove } from '../placement/gate.ts'
import { isComing } from '../store/evacuations.ts'
import { NO_OUTCOME, type OrderRequest, runOrder } from './order-step.ts'
import type { OperationServices } from './services.ts'

const PARAMS = z.object({
  vmId: z.string(),
  vm: z.string(),
  from: z.string(),
  to: z.string(),
  method: z.enum(['live', 'cold']),
  /** A person passed over rules 5 and 6 for this one command. */
  override: z.boolean(),
  graceMs: z.number(),
  deadlineAt: z.number(),
})
export type MoveParams = z.output<typeof PARAMS>

/** An undo has its own time: the deadline of the operation may be what caused it. */
const UNDO_LIMIT_MS = 10 * MINUTE_MS
/**
 * What orders behind the point of no return get when the deadline is over or nearly so. The agents go on without the
 * controller: it may have been away past the deadline and find the VM handed over, which then must still be confirmed.
 */
const LATE_LIMIT_MS = 2 * MINUTE_MS

type Context = StepContext<MoveParams, OperationServices>
type Step = SagaStep<MoveParams, OperationServices>

/**
 * One VM from one blade to another. The order of the steps is the safety:
 * room and epoch first, so that nobody else counts on the room and every older order is refused (rule 1); then the
 * target's volumes; then the one act that cannot be taken back; the source gives up its volumes last (rule 3).
 */
export const moveSaga: SagaDefinition<MoveParams, OperationServices> = {
  kind: 'move',
  parseParams: json => {
    const result = PARAMS.safeParse(json)
    if (result.success) return result.data
    throw new LifeboatError('bad-input', 'the journal holds a move this version cannot read', {
      details: result.error.issues.map(issue => `${issue.path.join('.')}: ${issue.message}`),
    })
  },
  steps: [reserve(), prepareTarget(), send(), confirmTarget(), releaseSource()],
}

/** What `reserve` journals: the VM as it was when the move was admitted. Later steps never look at a newer one. */
interface Reserved {
  readonly epoch: number
  readonly generation: number
  readonly vm: VmView
  readonly peerAddress: string
}

function reserved(context: Context): Reserved {
  const result = context.results.reserve
  if (result === undefined) throw new LifeboatError('internal', 'the move has no reservation in its journal')
  return result as unknown as Reserved
}

function reserve(): Step {
  return {
    name: 'reserve',
    // Raising the epoch twice is harmless: no order carries the first one yet.
    probe: 'repeat',
    do: async context => {
      const { params, services, sagaId } = context
      const snapshot = services.fleet.snapshot(services.clock.now(), sagaId)
      const parent = services.store.operations.get(sagaId)?.parent ?? ''
      const along = services.store.evacuations.get(parent)?.moves.filter(isComing) ?? []
      const company = companyOf(along, params)
      const { vm, target } = checkMove(snapshot, params, company)
      // Gate, epoch and room in one synchronous piece: nothing can slip in between (rule 5).
      const marks = services.store.transaction(() => {
        services.store.operations.update(sagaId, { reservation: reservationOf(sagaId, vm) })
        return services.store.vms.raise(params.vmId, true)
      })
      services.fleet.touch()
      return { ...marks, vm, peerAddress: target.peerAddress } as unknown as Json
    },
    undo: async context => dropReservation(context),
  }
}

function checkMove(snapshot: FleetSnapshot, params: MoveParams, company: ReadonlySet<string>) {
  const reasons = recheckMove(snapshot, params, { override: params.override, company })
  const vm = snapshot.vms.find(each => each.id === params.vmId)
  const target = snapshot.blades.find(blade => blade.name === params.to)
  if (reasons.length > 0 || vm === undefined || target === undefined) {
    throw new LifeboatError('refused', `${params.vm} cannot move from ${params.from} to ${params.to} now`, {
      details: reasons.map(reason => reason.text),
    })
  }
  return { vm, target }
}

function reservationOf(operation: string, vm: VmView): Reservation {
  return {
    operation,
    vmId: vm.id,
    vmName: vm.name,
    memoryBytes: vm.state === 'running' ? vm.memoryBytes : 0,
    vcpus: vm.state === 'running' ? vm.vcpus : 0,
    volumes: vm.volumes.map(volume => ({
      pool: volume.pool,
      storage: volume.storage,
      bytes: volume.sizeBytes,
    })),
  }
}

function dropReservation({ services, sagaId }: Context): void {
  services.store.operations.update(sagaId, { reservation: undefined })
  services.fleet.touch()
}

function prepareTarget(): Step {
  return {
    name: 'prepare-target',
    probe: 'repeat',
    do: context => {
      const { vm, epoch } = reserved(context)
      const value = {
        vm: vmToWire(incomingVm(vm, epoch)),
        fromBlade: context.params.from,
        moveId: context.sagaId,
      }
      return order(context, {
        blade: context.params.to,
        step: 'prepare-target',
        kind: { $case: 'prepareIncoming', value },
        again: false,
      })
    },
    undo: async context => {
      // Never given (the target was away): nothing lies there, so the undo need not wait for it to come back.
      if (context.services.store.orders.get(`${context.sagaId}/prepare-target`) === undefined) return
      await order(context, {
        blade: context.params.to,
        step: 'discard-target',
        kind: { $case: 'discardIncoming', value: { moveId: context.sagaId } },
        again: true,
        deadlineAt: context.services.clock.now() + UNDO_LIMIT_MS,
      })
    },
  }
}

/** The VM as the target shall make it. */
function incomingVm(vm: VmView, epoch: number): Vm {
  const { blade: _blade, operation: _operation, seenAt: _seenAt, state, ...rest } = vm
  return { ...rest, state, epoch, incoming: true }
}

function send(): Step {
  return {
    name: 'send',
    probe: 'repeat',
    cannotUndoBecause: 'the VM has left the source; going back would be a second move',
    do: async context => {
      const { params, sagaId } = context
      const value = { moveId: sagaId, toBlade: params.to, peerAddress: reserved(context).peerAddress }
      const kind =
        params.method === 'live'
          ? { $case: 'sendLive' as const, value }
          : { $case: 'sendCold' as const, value }
      try {
        return await order(context, { blade: params.from, step: 'send', kind, again: false })
      } catch (error) {
        if (!isUnanswered(context, error)) throw error
        if (arrivedAnyway(context)) {
          context.services.log.warn(
            `vm ${params.vm}: ${params.from} does not answer, but ${params.to} runs it: going on (${formatErrorChain(error)})`,
          )
          return NO_OUTCOME
        }
        // The runner neither goes on nor back after this code: both could be wrong (rule 1).
        throw new LifeboatError('needs-admin', `nobody knows whether ${params.vm} has left ${params.from}`, {
          cause: error,
        })
      }
    },
  }
}

/** The order went out and its end was never told. One that never went out has changed nothing. */
function isUnanswered({ services, sagaId }: Context, error: unknown): boolean {
  if (!(error instanceof LifeboatError) || error.code !== 'unavailable') return false
  const sent = services.store.orders.get(`${sagaId}/send`)
  return sent !== undefined && sent.endedAt === 0
}

/**
 * The source may die right after it let go. If the target then says that it runs the VM, the move has happened;
 * discarding the target would be the one fatal answer.
 */
function arrivedAnyway({ services, params }: Context): boolean {
  const report = services.store.blades.get(params.to)?.report
  // Still arriving by its own word: an older report, of a VM that once ran there, must not pass for this arrival.
  return report?.vms.some(vm => vm.id === params.vmId && vm.incoming && vm.state === 'running') ?? false
}

function confirmTarget(): Step {
  return {
    name: 'confirm-target',
    probe: 'repeat',
    do: async context => {
      const { params, services, sagaId } = context
      const running = params.method === 'live'
      const outcome = await order(context, {
        blade: params.to,
        step: 'confirm-target',
        kind: { $case: 'confirmIncoming', value: { moveId: sagaId, running } },
        again: true,
        deadlineAt: lateDeadline(context),
      })
      const { vm, epoch } = reserved(context)
      const arrived: Vm = {
        ...incomingVm(vm, epoch),
        state: running ? 'running' : 'stopped',
        incoming: false,
      }
      services.store.transaction(() => {
        services.store.vms.place(params.vmId, params.to, services.clock.now(), arrived)
        services.store.operations.update(sagaId, { reservation: undefined })
      })
      services.fleet.touch()
      return outcome
    },
    cannotUndoBecause: 'the VM runs at the target',
  }
}

function releaseSource(): Step {
  return {
    name: 'release-source',
    probe: 'repeat',
    do: context =>
      order(context, {
        blade: context.params.from,
        step: 'release-source',
        kind: {
          $case: 'releaseSource',
          value: { moveId: context.sagaId, graceMs: context.params.graceMs },
        },
        again: true,
        deadlineAt: lateDeadline(context),
      }),
    cannotUndoBecause: 'the source has renamed its volumes',
  }
}

function lateDeadline({ params, services }: Context): number {
  return Math.max(params.deadlineAt, services.clock.now() + LATE_LIMIT_MS)
}

type MoveOrder = Pick<OrderRequest, 'blade' | 'step' | 'kind' | 'again'> & { readonly deadlineAt?: number }

function order(context: Context, request: MoveOrder): Promise<Json> {
  const { epoch, generation } = reserved(context)
  return runOrder(context.services, {
    deadlineAt: context.params.deadlineAt,
    ...request,
    operation: context.sagaId,
    vmId: context.params.vmId,
    epoch,
    generation,
    signal: context.signal,
    onProgress: request.step === 'send' ? (done, total) => context.progress(done, total) : undefined,
  })
}
