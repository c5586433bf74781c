import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import type { MoveRow } from '../store/move-store.ts'
import { type ConfirmParams, parseConfirmParams } from './params.ts'
import type { OperationServices } from './services.ts'
import { waitForState } from './vm-state.ts'

type Context = StepContext<ConfirmParams, OperationServices>

/** A resumed VM reads as running at once; a hypervisor busy with something else may need a moment. */
const RUNNING_LIMIT_MS = 30_000

/**
 * Target of a move, at its end: by this order the controller says that the source has let go. All steps may be
 * repeated, and none turns back: from the moment the VM runs here, here is where it belongs.
 */
export const confirmIncoming: SagaDefinition<ConfirmParams, OperationServices> = {
  kind: 'confirm-incoming',
  parseParams: parseConfirmParams,
  steps: [
    // The point of no return comes first: what fails after it is tried again until the deadline, and a hypervisor
    // that does not answer for a moment must not end the only order that lets the VM run.
    { name: 'mark-released', probe: 'repeat', do: markReleased, cannotUndoBecause: 'the source has let go' },
    { name: 'let-run', probe: 'repeat', do: letRun },
    {
      name: 'adopt-volumes',
      probe: 'repeat',
      do: async ({ params, services }) => {
        for (const volume of rowOf(services, params).volumes) {
          await services.volumes.adopt(volume.path, params.moveId, services.run)
        }
        return undefined
      },
    },
    {
      name: 'restore-autostart',
      probe: 'repeat',
      do: async ({ params, services }) => {
        const { autostart } = rowOf(services, params).note
        if (autostart === true) await services.hypervisor.setAutostart(params.vmId, true, services.run)
        return undefined
      },
    },
    { name: 'close-door', probe: 'repeat', do: closeDoor },
  ],
}

/** Already confirmed (the order's end was lost, and a new order came) is no error. */
async function markReleased({ params, services }: Context): Promise<undefined> {
  const row = rowOf(services, params)
  services.claimPeerCommands(params.moveId)
  if (row.state === 'confirmed') return undefined
  if (!services.moves.advance(params.moveId, ['prepared', 'released'], 'released')) {
    throw new LifeboatError('refused', `move ${params.moveId} is ${row.state} here`)
  }
  return undefined
}

/**
 * Has the VM run. Off although it has run here in this boot: somebody shut it down meanwhile, and it stays as they left
 * it. Off for any other reason: a power cut took its memory; its disks are complete and the source has let go, so it
 * boots from them.
 */
async function letRun({ params, services, signal }: Context): Promise<Json> {
  const { hypervisor, moves } = services
  const row = rowOf(services, params)
  const { ranInBoot, handoverMs = 0 } = row.note
  if (row.state === 'confirmed') return { handoverMs }
  const state = await hypervisor.state(params.vmId)
  if (state === 'absent') {
    throw new LifeboatError('not-found', `${params.vmName} did not arrive on this blade`)
  }
  if (!params.running || (state === 'stopped' && ranInBoot === services.bootId)) return { handoverMs }
  const startedAt = services.clock.now()
  if (state === 'paused') await hypervisor.resume(params.vmId, services.run)
  else if (state === 'stopped') await hypervisor.start(params.vmId, services.run)
  await waitForState(services, params.vmId, 'running', { timeoutMs: RUNNING_LIMIT_MS, signal })
  if (ranInBoot !== undefined) return { handoverMs }
  // The source's own word was lost, so the wait for the controller's is not in this figure.
  const resumeMs = services.clock.now() - startedAt
  moves.note(params.moveId, { ranInBoot: services.bootId, handoverMs: resumeMs })
  services.log.info(
    `vm ${params.vmName}: arriving => running (move ${params.moveId}, by the controller's word)`,
  )
  return { handoverMs: resumeMs }
}

async function closeDoor({ params, services }: Context): Promise<undefined> {
  services.marks.raiseEpoch(params.vmId, params.epoch)
  services.moves.advance(params.moveId, ['released'], 'confirmed')
  await services.closeDoor(rowOf(services, params))
  services.log.info(`vm ${params.vmName}: confirmed (move ${params.moveId}, epoch ${params.epoch})`)
  return undefined
}

function rowOf(services: OperationServices, params: ConfirmParams): MoveRow {
  const row = services.moves.load(params.moveId)
  if (row === undefined || row.direction !== 'in') {
    throw new LifeboatError('not-found', `no move ${params.moveId} is expected on this blade`)
  }
  return row
}
