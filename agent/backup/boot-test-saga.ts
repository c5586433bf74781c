import { formatDuration, SECOND_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition } from '../../shared/saga/definition.ts'
import { type BootTestParams, parseBootTestParams } from '../operations/params.ts'
import type { OperationServices } from '../operations/services.ts'
import { isOff } from '../operations/vm-state.ts'
import { noSigns, seeSigns } from './boot-signs.ts'
import {
  checkPoint,
  createVolumes,
  defineFromPoint,
  discardVolumes,
  type RestoreContext,
  writeVolumes,
} from './restore-steps.ts'

type Context = RestoreContext<BootTestParams>

/** Each look is two processes. */
const LOOK_EVERY_MS = SECOND_MS
const STOP_LIMIT_MS = 30 * SECOND_MS

/**
 * Does a restore point boot? A copy under a name of its own, without network, is started and watched, and nothing of
 * it is left however it ends: the last step removes all, and so does the way back. A VM that shows no sign of life ends
 * the test as `undone`, with that as the reason.
 */
export const bootTest: SagaDefinition<BootTestParams, OperationServices> = {
  kind: 'boot-test',
  parseParams: parseBootTestParams,
  steps: [
    { name: 'check', probe: 'repeat', do: check },
    // A trial is no reason to take from a VM that moved its way back (rule 3).
    createVolumes(params => params.volumes, { sparesKept: true }),
    writeVolumes(params => params.volumes),
    { name: 'define', probe: 'repeat', do: define, undo: eraseVm },
    { name: 'boot', probe: 'repeat', do: boot, undo: stopVm },
    { name: 'remove', probe: 'repeat', do: remove },
  ],
}

/** The time of a recovery begins here: who restores in earnest checks first, too. */
async function check(context: Context): Promise<Json> {
  const startedAt = context.services.clock.now()
  await checkPoint(context, { volumes: context.params.volumes, definesVm: true })
  return { startedAt }
}

async function define(context: Context): Promise<Json> {
  return await defineFromPoint(context, { newIdentity: true, isolated: true })
}

async function boot({ params, services, results, signal }: Context): Promise<Json> {
  const { hypervisor, clock, run } = services
  await hypervisor.start(params.vmId, run)
  const endsAt = clock.now() + params.bootLimitMs
  let seen = noSigns
  for (;;) {
    seen = seeSigns(seen, await hypervisor.signsOfLife(params.vmId), params.sign)
    if (seen.lives) return { recoveryMs: clock.now() - startedAt(results.check), sign: seen.words }
    if (signal.aborted) throw new LifeboatError('aborted', 'the boot test was stopped')
    const state = await hypervisor.state(params.vmId)
    if (state !== 'running') {
      throw new LifeboatError(
        'refused',
        `the VM of restore point ${params.point} is ${state} after its start`,
      )
    }
    if (clock.now() >= endsAt) {
      const limit = formatDuration(params.bootLimitMs)
      throw new LifeboatError(
        'timeout',
        `restore point ${params.point}: no sign of life within ${limit} (${seen.words})`,
      )
    }
    await clock.sleep(LOOK_EVERY_MS, signal)
  }
}

function startedAt(result: Json | undefined): number {
  return (result as { startedAt: number }).startedAt
}

async function stopVm({ params, services }: Context): Promise<void> {
  const { hypervisor, run } = services
  if (isOff(await hypervisor.state(params.vmId))) return
  await hypervisor.stop(params.vmId, true, STOP_LIMIT_MS, run)
}

async function eraseVm({ params, services }: Context): Promise<void> {
  await services.hypervisor.erase(params.vmId, services.run)
}

async function remove(context: Context): Promise<undefined> {
  await stopVm(context)
  await eraseVm(context)
  await discardVolumes(context, context.params.volumes)
  return undefined
}
