import * as z from 'zod'
import type { VaultAddress } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Vm } from '../../shared/domain/fleet.ts'
import { MINUTE_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaStep, StepContext } from '../../shared/saga/definition.ts'
import { agentsAddress } from '../backup/known.ts'
import type { Reservation, VmView } from '../fleet/snapshot.ts'
import type { Purpose } from '../placement/filters.ts'
import { type AdmitOptions, admit } from '../placement/gate.ts'
import { volumeNeeds } from '../placement/room.ts'
import type { OperationServices } from './services.ts'

/** What a restore and a boot test have in common. */
export const POINT_PARAMS = {
  /** Of the VM to be. */
  vmId: z.string(),
  vm: z.string(),
  to: z.string(),
  vault: z.string(),
  pointVmId: z.string(),
  pointVm: z.string(),
  point: z.string(),
  /** A VmView: the VM as it shall be, with its volumes at the target. Made by the placement, re-checked by `admit`. */
  plan: z.looseObject({ id: z.string(), name: z.string() }),
  override: z.boolean(),
  deadlineAt: z.number(),
}
const COMMON = z.object(POINT_PARAMS)
export type PointParams = z.output<typeof COMMON>

export type PointContext<Params extends PointParams> = StepContext<Params, OperationServices>

/** The agent ends the order at its deadline; the last read of the vault may be a little later. */
const GRANT_GRACE_MS = 10 * MINUTE_MS

/** The VM as it shall be. */
export function plannedVm({ plan }: PointParams): VmView {
  return plan as unknown as VmView
}

/** As the target is told. */
export function vmForOrder(params: PointParams, epoch: number): Vm {
  const {
    blade: _blade,
    operation: _operation,
    seenAt: _seenAt,
    starting: _starting,
    ...vm
  } = plannedVm(params)
  return { ...vm, epoch, incoming: false }
}

/** Gate on a fresh snapshot, room, and what `marks` gives, in one synchronous piece (rule 5). */
export function admitStep<Params extends PointParams>(
  purposeOf: (params: Params) => Purpose,
  marks: (context: PointContext<Params>) => { epoch: number; generation: number },
  how: Pick<AdmitOptions, 'sparesKept'> = {},
): SagaStep<Params, OperationServices> {
  return {
    name: 'admit',
    probe: 'repeat',
    do: async (context): Promise<Json> => {
      const { params, services, sagaId } = context
      const vm = plannedVm(params)
      const snapshot = services.fleet.snapshot(services.clock.now(), sagaId)
      const reasons = admit(snapshot, vm, params.to, {
        purpose: purposeOf(params),
        override: params.override,
        operation: sagaId,
        ...how,
      })
      if (reasons.length > 0) {
        throw new LifeboatError('refused', `${params.vm} cannot be restored to ${params.to} now`, {
          details: reasons.map(reason => reason.text),
        })
      }
      const result = services.store.transaction(() => {
        services.store.operations.update(sagaId, { reservation: reservationOf(sagaId, vm) })
        return marks(context)
      })
      services.fleet.touch()
      return result
    },
    undo: async ({ services, sagaId }) => {
      services.store.operations.update(sagaId, { reservation: undefined })
      services.fleet.touch()
    },
  }
}

function reservationOf(operation: string, vm: VmView): Reservation {
  return {
    operation,
    vmId: vm.id,
    vmName: vm.name,
    memoryBytes: vm.state === 'running' ? vm.memoryBytes : 0,
    vcpus: vm.state === 'running' ? vm.vcpus : 0,
    volumes: volumeNeeds(vm),
  }
}

/** A blade sees its own restore points only: the vault is told which other one this operation may read. */
export function grantStep<Params extends PointParams>(): SagaStep<Params, OperationServices> {
  return {
    name: 'grant',
    probe: 'repeat',
    do: async ({ params, services, sagaId, signal }) => {
      const { pointVmId: vmId, point, to: blade, deadlineAt } = params
      await services.vaults.ask(
        params.vault,
        'grant',
        { point: { vmId, point }, blade, operation: sagaId, expiresAt: deadlineAt + GRANT_GRACE_MS },
        { timeoutMs: MINUTE_MS, signal },
      )
      return undefined
    },
  }
}

/** The vault's door for agents. Throws `not-found` when it was removed meanwhile. */
export function vaultForOrder({ vault }: PointParams, { store }: OperationServices): VaultAddress {
  const record = store.vaults.get(vault)
  if (record === undefined) throw new LifeboatError('not-found', `there is no vault ${vault} any more`)
  return { name: vault, address: agentsAddress(record) }
}
