import type { Generated } from 'kysely'

/**
 * Rows as they lie in the database; JSON columns are text. Times are epoch ms, 0 = not yet. No one outside store/
 * sees these types: each table file turns rows into domain values.
 */
export interface Tables {
  blades: BladeTable
  blade_certificates: { fingerprint: string; blade: string; not_after: number }
  tokens: TokenTable
  vaults: VaultTable
  vault_certificates: { fingerprint: string; vault: string; not_after: number }
  points: { vault: string; vm_id: string; point: string; vm: string; at: number; json: string }
  vm_tags: { vm_id: string; name: string; value: string }
  backup_outcomes: BackupOutcomeTable
  boot_tests: BootTestTable
  vms: VmTable
  vm_blades: { vm_id: string; blade: string; first_seen_at: number }
  cases: { id: string; key: string; json: string; opened_at: number; closed_at: number }
  alerts: AlertTable
  outbox: OutboxTable
  plans: { id: string; blade: string; created_at: number; json: string }
  evacuations: EvacuationTable
  evacuation_moves: EvacuationMoveTable
  operations: OperationTable
  orders: OrderTable
  settings: { name: string; json: string }
  stories: { seq: Generated<number>; kind: string; subject: string; at: number; text: string }
  events: { id: string; blade: string; at: number; kind: string; vm: string; text: string }
  counters: { name: string; value: number }
}

export interface BladeTable {
  name: string
  chassis: string
  slot: number
  feeds: string
  switches: string
  max_vms: number
  admin: string
  admin_reason: string
  added_at: number
  joined_at: number
  peer_address: string
  agent_version: string
  refusal: string
  baseline: string
  report: string
  report_at: number
}

export interface TokenTable {
  secret_hash: string
  blade: string
  role: string
  created_at: number
  expires_at: number
  used_at: number
}

export interface VaultTable {
  name: string
  address: string
  added_at: number
  joined_at: number
  version: string
  status: string
  seen_at: number
  clock_offset_ms: number
  error: string
  failing_since: number
}

export interface BackupOutcomeTable {
  vm_id: string
  at: number
  ok: number
  blade: string
  source: string
  text: string
}

export interface BootTestTable {
  operation: string
  vault: string
  vm_id: string
  vm: string
  point: string
  at: number
  ok: number
  recovery_ms: number
  error: string
  told_at: number
}

export interface VmTable {
  id: string
  name: string
  epoch: number
  generation: number
  placed_on: string
  placed_at: number
  placed_vm: string
  first_seen_at: number
}

export interface AlertTable {
  id: string
  case_key: string
  code: string
  severity: string
  blade: string
  subject: string
  title: string
  text: string
  next_command: string
  blades: string
  raised_at: number
  cleared_at: number
  acknowledged_by: string
  acknowledged_at: number
  acknowledged_note: string
  delivered_at: number
  revision: number
}

export interface OutboxTable {
  seq: Generated<number>
  dedupe_key: string
  notifier: string
  alert: string
  payload: string
  attempts: number
  next_attempt_at: number
  delivered_at: number
  last_error: string
}

export interface EvacuationTable {
  operation: string
  plan: string
  blade: string
  cause: string
  case_key: string
  case_id: string
  state: string
  started_at: number
  ended_at: number
}

export interface EvacuationMoveTable {
  evacuation: string
  seq: number
  plan: string
  vm_id: string
  vm: string
  source: string
  target: string
  method: string
  role: string
  /** JSON: ids of VMs. */
  needs: string
  memory_bytes: number
  volume_bytes: number
  state: string
  operation: string
  error: string
}

export interface OperationTable {
  id: string
  kind: string
  state: string
  vm_id: string
  vm: string
  source: string
  target: string
  method: string
  plan: string
  parent: string
  cause: string
  requested_by: string
  started_at: number
  ended_at: number
  deadline_at: number
  steps: string
  downtime_ms: number
  handover_ms: number
  done_bytes: number
  total_bytes: number
  error: string
  outcome: string
  next_command: string
  reservation: string
  settled_at: number
  point: string
  pause_ms: number
  recovery_ms: number
}

export interface OrderTable {
  id: string
  operation: string
  blade: string
  state: string
  status: string
  agent_steps: string
  commands: string
  ended_at: number
}
