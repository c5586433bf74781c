import { errorCode, formatErrorChain, isRetryable, LifeboatError } from '../../shared/errors.ts'
import type { Json, ProbeAnswer, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import { openTunnels } from '../peer/tunnel.ts'
import {
  cancelLeftOver,
  check,
  fieldOf,
  hold,
  isAtTarget,
  letGo,
  stopAutostart,
  targetOf,
} from './outgoing.ts'
import { parseSendParams, parseVolumes, type SendParams } from './params.ts'
import type { OperationServices } from './services.ts'
import { isOff } from './vm-state.ts'

type Context = StepContext<SendParams, OperationServices>

/** How often a silent target is asked again whether it has the VM. */
const ASK_AGAIN_MS = 2000

/** Source of a live move: ends with the VM off here and paused, or already running, at the target. */
export const sendLive: SagaDefinition<SendParams, OperationServices> = {
  kind: 'send-live',
  parseParams: parseSendParams,
  steps: [
    check('running'),
    stopAutostart,
    hold,
    { name: 'migrate', probe: probeMigration, do: migrate, cannotUndoBecause: 'the VM has left this blade' },
    { name: 'hand-over', probe: 'repeat', do: handOver },
  ],
}

/**
 * One attempt. It may be repeated after a crash, so each attempt first has the target drop what an earlier one
 * left: a paused copy there, made from a guest that has since run on here, must never be run.
 */
async function migrate(context: Context): Promise<Json> {
  const { params, services, signal } = context
  const { hypervisor, clock } = services
  const state = await hypervisor.state(params.vmId)
  if (state !== 'running')
    throw new LifeboatError('refused', `${params.vmName} is ${state}, not running, here`)
  services.moves.advance(params.moveId, ['held'], 'sending')
  const { moveId, vmId } = params
  const autostart = services.moves.load(moveId)?.note.autostart
  await services.peers.ask(targetOf(params), { channel: 'begin', moveId, vmId, autostart }, signal)
  await services.makeSocketDirectories()
  const sockets = hypervisor.outgoingSockets(params.vmName, moveId)
  const tunnels = await openTunnels({
    sockets,
    peer: targetOf(params),
    moveId,
    vmId,
    peers: services.peers,
    log: services.log,
  })
  services.log.info(`vm ${params.vmName}: running => leaving (move ${moveId}, to ${params.toBlade})`)
  try {
    const statistics = await hypervisor.migrate(vmId, sockets, {
      disks: parseVolumes(fieldOf(context.results.check, 'volumes')).map(volume => volume.target),
      timeoutMs: Math.max(1000, params.deadlineAt - clock.now()),
      signal,
      run: services.run,
      onProgress: (doneBytes, totalBytes) => context.progress(doneBytes, totalBytes),
    })
    return { ...statistics, leftAt: clock.now() }
  } catch (error) {
    return await settleFailure(context, error)
  } finally {
    await tunnels.close()
  }
}

/**
 * The hypervisor's client may fail although the VM has left: it was killed, or the last answer was lost. What counts
 * is where the VM is. Only when that is not to be learned before the deadline does the failure stand as it is; the
 * undo of `hold` then finds the VM off here and leaves the rest to a person.
 */
async function settleFailure(context: Context, failure: unknown): Promise<Json> {
  const { params, services, signal } = context
  while (isOff(await services.hypervisor.state(params.vmId))) {
    try {
      if (await isAtTarget(services, params)) {
        services.log.warn(
          `vm ${params.vmName}: the migration reported a failure, but the VM is at the target`,
          {
            error: formatErrorChain(failure),
          },
        )
        return { leftAt: services.clock.now() }
      }
      break
    } catch (error) {
      if (!isRetryable(error) || signal.aborted) break
      await services.clock.sleep(ASK_AGAIN_MS, signal)
    }
  }
  services.log.info(`vm ${params.vmName}: leaving => running (move ${params.moveId} failed)`, {
    code: errorCode(failure),
  })
  throw failure
}

/**
 * After a restart in the middle of a migration. Our tunnels died with the process, so the hypervisor's migration
 * cannot get any further; what is left is to find out on which side the VM came to rest.
 */
async function probeMigration(context: Context): Promise<ProbeAnswer> {
  const { params, services, signal } = context
  const { hypervisor } = services
  await cancelLeftOver(services, params.vmId)
  const state = await hypervisor.state(params.vmId)
  if (isOff(state)) {
    return (await isAtTarget(services, params, signal))
      ? { state: 'done', result: { leftAt: services.clock.now() } }
      : { state: 'not-done' }
  }
  // It ran when this order began and it has not been handed over, so if the broken migration left it standing it
  // goes on here (rule 2); its copy at the target is dropped by the next attempt's `begin` or by DiscardIncoming.
  if (state === 'paused') await hypervisor.resume(params.vmId, services.run)
  return { state: 'not-done' }
}

/**
 * The message is the fast path only: when it is lost, the controller's ConfirmIncoming does the same. So its failure
 * is logged and ends nothing; only a VM that is not off here stops the order.
 */
async function handOver(context: Context): Promise<Json> {
  const { params, services, results } = context
  try {
    return {
      handoverMs: await letGo(
        context,
        Number(fieldOf(results.migrate, 'leftAt') ?? context.services.clock.now()),
      ),
    }
  } catch (error) {
    if (errorCode(error) === 'refused' && !isOff(await services.hypervisor.state(params.vmId))) throw error
    // Not let go yet: libvirt did not say that the VM is off here, or the row could not be written (disk full). Done
    // without the row, the order would have the target run the VM and this blade refuse to release it for ever.
    if (services.moves.load(params.moveId)?.state !== 'released') {
      throw new LifeboatError('unavailable', `${params.vmName} could not be let go yet`, { cause: error })
    }
    services.log.warn(`vm ${params.vmName}: ${params.toBlade} was not told; the controller will`, {
      error: formatErrorChain(error),
    })
    return { handoverMs: 0 }
  }
}
