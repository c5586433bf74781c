/** States of an operation; every operation ends (rule 11). Changed by one function: controller/operations. */
export const OPERATION_STATES = {
  running: 'works on its steps',
  aborting: 'was told to stop, undoes what it did',
  done: 'ended as asked',
  undone: 'ended with everything as it was before',
  'needs-admin': 'ended half way; it says why and what to type',
} as const
export type OperationState = keyof typeof OPERATION_STATES

export const ORDER_STATES = {
  sent: 'given by the controller, the agent has not said anything yet',
  accepted: 'written to the journal of the agent',
  running: 'works on its steps',
  done: 'ended as asked',
  undone: 'failed, and left nothing behind',
  refused: 'older than what the agent already did, or not for it',
  'needs-admin': 'failed and could not be undone',
} as const
export type OrderState = keyof typeof ORDER_STATES

const ENDED_ORDER_STATES: readonly string[] = [
  'done',
  'undone',
  'refused',
  'needs-admin',
] satisfies OrderState[]

/** Is the order over, so that nothing more will be said of it but its end? `state` may be a word off the wire. */
export function isEndedOrder(state: string): boolean {
  return ENDED_ORDER_STATES.includes(state)
}

export const METHODS = {
  live: 'libvirt live migration with storage copy',
  warm: 'bulk copy while running, then stop, last delta, start',
  cold: 'the VM is off: copy the volumes',
  recover: 'from the newest verified restore point',
} as const
export type Method = keyof typeof METHODS

/** One command an agent ran, kept with its operation. exitCode -1: killed or never started. */
export interface CommandRecord {
  readonly argv: readonly string[]
  readonly exitCode: number
  readonly startedAt: number
  readonly durationMs: number
  readonly stderrTail: string
}
