import type { VmView } from '../fleet/snapshot.ts'
import type { OperationKind, OperationRecord } from '../store/operations.ts'
import { BACKUP_LIMIT_MS, type BackupParams } from './backup-saga.ts'
import { BOOT_TEST_LIMIT_MS, type BootTestParams } from './boot-test-saga.ts'
import type { MoveParams } from './move-saga.ts'
import type { PointParams } from './point-steps.ts'
import { RESTORE_LIMIT_MS, type RestoreParams } from './restore-saga.ts'
import type { VmAction, VmActionParams } from './vm-action-saga.ts'

export interface NewMove {
  readonly vm: VmView
  readonly to: string
  readonly method: 'live' | 'cold'
  readonly plan: string
  readonly parent: string
  readonly cause: string
  readonly requestedBy: string
  readonly override: boolean
}

export interface NewAction {
  readonly vm: VmView
  readonly action: VmAction
  readonly force: boolean
  readonly requestedBy: string
}

export interface NewBackup {
  readonly vm: VmView
  /** Empty: as the agent was told. */
  readonly mode: BackupParams['mode']
  readonly force: boolean
  readonly requestedBy: string
}

/** A restore, or a boot test: a VM (or a volume) made of a restore point. */
export interface NewFromPoint {
  readonly pointVm: { readonly id: string; readonly name: string }
  readonly point: string
  readonly vault: string
  readonly to: string
  /** As it shall be at the target. */
  readonly plan: VmView
  readonly override: boolean
  readonly cause: string
  readonly requestedBy: string
}
export type NewRestore = NewFromPoint & Pick<RestoreParams, 'newIdentity' | 'start' | 'onlyDisk'>
export type NewBootTest = NewFromPoint & Pick<BootTestParams, 'bootLimitMs' | 'sign'>

/** What an operation is recorded as, and what its saga is given. */
export interface Beginning<Params> {
  readonly fields: Partial<OperationRecord> & { readonly kind: OperationKind; readonly deadlineAt: number }
  readonly params: Params
}

export function beginningOfMove(
  move: NewMove,
  now: number,
  limits: { readonly graceMs: number; readonly moveDeadlineMs: number },
): Beginning<MoveParams> {
  const deadlineAt = now + limits.moveDeadlineMs
  const { vm, override, ...rest } = move
  const { id: vmId, name, blade: from } = vm
  const { to, method } = move
  return {
    fields: { ...rest, kind: 'move', vmId, vm: name, from, deadlineAt },
    params: { vmId, vm: name, from, to, method, override, graceMs: limits.graceMs, deadlineAt },
  }
}

export function beginningOfAction(
  { vm, action, force, requestedBy }: NewAction,
  now: number,
  limitMs: number,
): Beginning<VmActionParams> {
  const deadlineAt = now + limitMs
  const { id: vmId, name, blade } = vm
  const fields = { kind: action, vmId, vm: name, from: blade, requestedBy, cause: 'asked for', deadlineAt }
  return { fields, params: { vmId, vm: name, blade, force, deadlineAt } }
}

export function beginningOfBackup(
  { vm, mode, force, requestedBy }: NewBackup,
  now: number,
): Beginning<BackupParams> {
  const deadlineAt = now + BACKUP_LIMIT_MS
  const { id: vmId, name, blade } = vm
  return {
    fields: { kind: 'backup', vmId, vm: name, from: blade, requestedBy, cause: 'asked for', deadlineAt },
    params: { vmId, vm: name, blade, mode, force, deadlineAt },
  }
}

export function beginningOfRestore(request: NewRestore, now: number): Beginning<RestoreParams> {
  const { newIdentity, start, onlyDisk } = request
  const { fields, params } = fromPoint('restore', request, now + RESTORE_LIMIT_MS)
  return {
    fields: { ...fields, vmId: params.vmId, vm: params.vm },
    params: { ...params, newIdentity, start, onlyDisk },
  }
}

/** Recorded with the VM that was backed up, whose restore point is tried: that is where a person looks for it. */
export function beginningOfBootTest(request: NewBootTest, now: number): Beginning<BootTestParams> {
  const { bootLimitMs, sign, pointVm } = request
  const { fields, params } = fromPoint('boot-test', request, now + BOOT_TEST_LIMIT_MS)
  return {
    fields: { ...fields, vmId: pointVm.id, vm: pointVm.name },
    params: { ...params, bootLimitMs, sign },
  }
}

function fromPoint(
  kind: 'restore' | 'boot-test',
  request: NewFromPoint,
  deadlineAt: number,
): Beginning<PointParams> {
  const { pointVm, point, vault, to, plan, override, cause, requestedBy } = request
  return {
    fields: { kind, to, point, cause, requestedBy, deadlineAt },
    params: {
      vmId: plan.id,
      vm: plan.name,
      to,
      vault,
      pointVmId: pointVm.id,
      pointVm: pointVm.name,
      point,
      plan: { ...plan },
      override,
      deadlineAt,
    },
  }
}
