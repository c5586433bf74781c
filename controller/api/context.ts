import type * as wire from '../../proto/gen/lifeboat/v1/admin.ts'
import type * as vault from '../../proto/gen/lifeboat/v1/vault.ts'
import type { Clock, IdSource } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import type { Restores } from '../backup/restores.ts'
import type { VaultClients } from '../backup/vault-client.ts'
import type { Vaults } from '../backup/vaults.ts'
import type { Changes } from '../changes.ts'
import type { ControllerConfig } from '../config.ts'
import type { Evacuations } from '../evacuation/evacuations.ts'
import type { FleetState } from '../fleet/fleet-state.ts'
import type { Sessions } from '../fleet/sessions.ts'
import type { Operations } from '../operations/operations.ts'
import type { ReconcilerView } from '../reconciler.ts'
import type { Store } from '../store/store.ts'

/** What the admin handlers may use. Each handler file takes the part it needs. */
export interface ApiContext {
  readonly store: Store
  readonly fleet: FleetState
  readonly operations: Operations
  readonly evacuations: Evacuations
  readonly sessions: Sessions
  readonly clients: VaultClients
  readonly vaults: Vaults
  readonly restores: Restores
  readonly changes: Changes
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
  readonly config: ControllerConfig
  /** sha256 of the CA certificate, hex: agents check it before they trust. */
  readonly authorityFingerprint: string
  /** host:port for `lifeboat-agent join`. */
  readonly joinAddress: () => string
  readonly reconciler: () => ReconcilerView
  readonly nudge: () => void
  /** Aborted when the controller stops: who watches is let go. */
  readonly stopping: AbortSignal
}

type Requests = {
  getStatus: [wire.GetStatusRequest, wire.Status]
  listBlades: [wire.ListBladesRequest, wire.BladeList]
  getBlade: [wire.BladeName, wire.Blade]
  addBlade: [wire.AddBladeRequest, wire.AddBladeResponse]
  setBlade: [wire.SetBladeRequest, wire.Blade]
  setBladeAdmin: [wire.SetBladeAdminRequest, wire.Blade]
  removeBlade: [wire.BladeName, wire.Empty]
  listVms: [wire.ListVmsRequest, wire.VmList]
  getVm: [wire.VmName, wire.VmView]
  changeVm: [wire.ChangeVmRequest, wire.Operation]
  migrateVm: [wire.MigrateVmRequest, wire.Operation]
  planEvacuation: [wire.BladeName, wire.Plan]
  evacuate: [wire.EvacuateRequest, wire.Evacuation]
  getPlan: [wire.PlanName, wire.Plan]
  listOperations: [wire.ListOperationsRequest, wire.OperationList]
  getOperation: [wire.OperationName, wire.Operation]
  abortOperation: [wire.OperationName, wire.Operation]
  listAlerts: [wire.ListAlertsRequest, wire.AlertList]
  getAlert: [wire.AlertName, wire.Alert]
  acknowledgeAlert: [wire.AcknowledgeAlertRequest, wire.Alert]
  getAutomation: [wire.Empty, wire.Automation]
  setAutomation: [wire.SetAutomationRequest, wire.Automation]
  why: [wire.VmName, wire.Explanation]
  whyNot: [wire.WhyNotRequest, wire.Explanation]
  setVmTags: [wire.SetVmTagsRequest, wire.VmView]
  runBackups: [wire.RunBackupsRequest, wire.OperationList]
  listBackups: [wire.ListBackupsRequest, vault.PointList]
  planBackups: [wire.ListBackupsRequest, wire.BackupPlan]
  explainBackupPolicy: [wire.VmName, wire.BackupPolicy]
  addVault: [wire.AddVaultRequest, wire.AddVaultResponse]
  removeVault: [wire.VaultName, wire.Empty]
  getCapacity: [wire.CapacityRequest, wire.CapacityReport]
  whatIf: [wire.WhatIfRequest, wire.WhatIfReport]
  planRebalance: [wire.Empty, wire.Rebalance]
  applyRebalance: [wire.Empty, wire.Rebalance]
}

type VaultRequests = {
  listVaults: [wire.Empty, wire.VaultList]
  getBackup: [wire.BackupName, vault.PointDetail]
  checkBackup: [wire.BackupName, vault.PointSummary]
  testBackup: [wire.TestBackupRequest, wire.Operation]
  restoreBackup: [wire.RestoreBackupRequest, wire.Operation]
  pruneBackups: [wire.PruneBackupsRequest, vault.PruneReport]
  scrubVault: [wire.ScrubVaultRequest, wire.VaultView]
  collectVault: [wire.CollectVaultRequest, vault.CollectReport]
}

/** Every unary RPC of admin.proto that asks no vault; `caller` is who asks, for the record. Synchronous: each answer is one consistent read. */
export type AdminHandlers = {
  [Rpc in keyof Requests]: (request: Requests[Rpc][0], caller: string) => Requests[Rpc][1]
}

/** Those that a vault is asked for. What they decide after its answer is again one consistent piece. */
export type AsyncAdminHandlers = {
  [Rpc in keyof VaultRequests]: (
    request: VaultRequests[Rpc][0],
    caller: string,
  ) => Promise<VaultRequests[Rpc][1]>
}
