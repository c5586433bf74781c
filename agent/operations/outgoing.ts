import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaStep, StepContext } from '../../shared/saga/definition.ts'
import type { PeerAddress } from '../peer/client.ts'
import { parseVolumes, type SendParams } from './params.ts'
import type { OperationServices } from './services.ts'
import { isOff } from './vm-state.ts'

/** What send-live and send-cold have in common: the source's hold on the VM, its autostart, the hand-over. */
type Context = StepContext<SendParams, OperationServices>
type Step = SagaStep<SendParams, OperationServices>

/** The target, as the order names it. */
export function targetOf(params: SendParams): PeerAddress {
  return { blade: params.toBlade, address: params.peerAddress }
}

/**
 * First step of both: the VM must be in the state the method needs, with nothing in its way, and the target must
 * expect it; all found out while nothing has been touched. Journals what the later steps must not read anew: the
 * volumes, and autostart as it was before `stop-autostart`.
 * Throws `not-found`, `refused`, or why the target cannot be asked.
 */
export function check(wanted: 'running' | 'stopped'): Step {
  return {
    name: 'check',
    probe: 'repeat',
    do: async ({ params, services, signal }) => {
      await services.standAside(params.vmId)
      const vm = await services.lookUp(params.vmId)
      if (vm === undefined) throw new LifeboatError('not-found', `${params.vmName} is not on this blade`)
      if (vm.state !== wanted) throw new LifeboatError('refused', `${vm.name} is ${vm.state}, not ${wanted}`)
      if (vm.obstacles.length > 0) {
        const details = vm.obstacles.map(obstacle => `${obstacle.code}: ${obstacle.text}`)
        throw new LifeboatError('refused', `${vm.name} cannot move as it stands`, { details })
      }
      await askTarget(services, params, signal)
      const autostart = await services.hypervisor.autostart(params.vmId)
      return { autostart, volumes: vm.volumes.map(volume => ({ ...volume })) }
    },
  }
}

/**
 * From here on this blade's orders to start or resume the VM are refused. The row outlives the order: after the
 * hand-over it is what keeps the VM off here until the controller releases the source.
 */
export const hold: Step = {
  name: 'hold',
  probe: 'repeat',
  do: async context => {
    const { params, services, results } = context
    if (services.moves.load(params.moveId) === undefined) {
      services.moves.put({
        moveId: params.moveId,
        direction: 'out',
        state: 'held',
        vmId: params.vmId,
        vmName: params.vmName,
        peerBlade: params.toBlade,
        peerAddress: params.peerAddress,
        epoch: params.epoch,
        volumes: parseVolumes(fieldOf(results.check, 'volumes')),
        note: { autostart: fieldOf(results.check, 'autostart') === true },
      })
    }
    return undefined
  },
  undo: async ({ params, services }) => {
    const row = services.moves.load(params.moveId)
    if (row === undefined) return
    // After a kill and an abort the hypervisor may still be at it.
    if (row.state === 'sending') await cancelLeftOver(services, params.vmId)
    if (row.state === 'sending' && isOff(await services.hypervisor.state(params.vmId))) {
      // It is off here, so it may be the only copy that waits over there; letting the VM start here again would
      // throw that away, and starting both is what rule 1 forbids. If the target does not answer, this throws, and
      // the order ends as needs-admin with that said.
      if (await isAtTarget(services, params)) {
        throw new LifeboatError(
          'needs-admin',
          `${params.vmName} is off here and in memory on ${params.toBlade}, and move ${params.moveId} did not end`,
        )
      }
    }
    services.moves.remove(params.moveId)
  },
}

/**
 * A VM between two blades must not be started by its hypervisor at boot (rule 8). INVARIANT: stands before `hold`, so
 * that it is undone after it: when `hold` finds that the VM may be elsewhere, autostart stays off.
 */
export const stopAutostart: Step = {
  name: 'stop-autostart',
  probe: 'repeat',
  do: async ({ params, services, results }) => {
    if (fieldOf(results.check, 'autostart') === true) {
      await services.hypervisor.setAutostart(params.vmId, false, services.run)
    }
    return undefined
  },
  undo: async ({ params, services, results }) => {
    if (fieldOf(results.check, 'autostart') !== true) return
    if ((await services.hypervisor.state(params.vmId)) === 'absent') return
    await services.hypervisor.setAutostart(params.vmId, true, services.run)
  },
}

/**
 * Says that the VM may run there. INVARIANT (rule 1): only when the hypervisor reports it off here, and only after
 * the row says so (fsync), so that no order after a crash starts it here.
 */
export async function letGo(context: Context, leftAt: number): Promise<number> {
  const { params, services, signal } = context
  const { hypervisor, clock, moves, peers } = services
  // The guest stands still meanwhile: the connection is made while the hypervisor is asked.
  const dialling = peers.dial(targetOf(params), signal)
  dialling.catch(() => {})
  try {
    const state = await hypervisor.state(params.vmId)
    if (!isOff(state)) {
      throw new LifeboatError(
        'refused',
        `${params.vmName} is ${state} here again while its copy waits on ${params.toBlade}: not handed over (rule 1)`,
      )
    }
    moves.advance(params.moveId, ['held', 'sending', 'released'], 'released')
    services.log.info(`vm ${params.vmName}: leaving => left (move ${params.moveId}, to ${params.toBlade})`)
    const peer = await dialling
    const sinceMs = Math.max(0, clock.now() - leftAt)
    const { moveId, vmId } = params
    const answer = await peer.ask({ channel: 'released', moveId, vmId, sinceMs })
    return answer.handoverMs ?? 0
  } finally {
    dialling.then(
      peer => peer.close(),
      () => {},
    )
  }
}

/** State of the VM at the target, by its agent. Throws `not-found` when it expects no such move, `unavailable`. */
async function askTarget(
  services: OperationServices,
  params: SendParams,
  signal?: AbortSignal,
): Promise<string> {
  const { moveId, vmId } = params
  const answer = await services.peers.ask(targetOf(params), { channel: 'state', moveId, vmId }, signal)
  return answer.state ?? 'unknown'
}

/**
 * Does the target have the VM in memory, so that this blade must not touch its own copy? Throws when the target
 * cannot be asked: silence is no answer.
 */
export async function isAtTarget(
  services: OperationServices,
  params: SendParams,
  signal?: AbortSignal,
): Promise<boolean> {
  try {
    const state = await askTarget(services, params, signal)
    return state === 'running' || state === 'paused'
  } catch (error) {
    // The target knows of no such move: it was discarded long ago, and nothing of it is left there.
    if (error instanceof LifeboatError && error.code === 'not-found') return false
    throw error
  }
}

/** Ends a migration that an earlier process of this agent began; the VM stays here. */
export async function cancelLeftOver(services: OperationServices, vmId: string): Promise<void> {
  const { hypervisor, run } = services
  if ((await hypervisor.state(vmId)) === 'absent') return
  if (await hypervisor.isMigrating(vmId)) await hypervisor.cancelMigration(vmId, run)
}

/** A field of a step's journaled result; undefined when it is not there. */
export function fieldOf(result: Json | undefined, field: string): Json | undefined {
  if (typeof result !== 'object' || result === null || Array.isArray(result)) return undefined
  return (result as Record<string, Json>)[field]
}
