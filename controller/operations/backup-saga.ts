import * as z from 'zod'
import { BACKUP_MODES, type BackupMode } from '../../shared/domain/backup.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import { runOrder } from './order-step.ts'
import type { OperationServices } from './services.ts'

const PARAMS = z.object({
  vmId: z.string(),
  vm: z.string(),
  blade: z.string(),
  /** Empty: as the agent was told for this VM. */
  mode: z.enum(['', ...(Object.keys(BACKUP_MODES) as [BackupMode, ...BackupMode[]])]),
  /** Although the kernel of the blade is known to panic on snapshots. */
  force: z.boolean(),
  deadlineAt: z.number(),
})
export type BackupParams = z.output<typeof PARAMS>

/** A night: the agent may have to wait for its turn, and for a place at the vault. */
export const BACKUP_LIMIT_MS = 12 * HOUR_MS

type Context = StepContext<BackupParams, OperationServices>

/**
 * One backup that somebody asked for. The agent does it, and undoes what it did when it fails; nothing is left to undo
 * here. What the agents begin by their own schedule is no operation of the controller.
 */
export const backupSaga: SagaDefinition<BackupParams, OperationServices> = {
  kind: 'backup',
  parseParams: json => {
    const result = PARAMS.safeParse(json)
    if (result.success) return result.data
    throw new LifeboatError('bad-input', 'the journal holds a backup this version cannot read')
  },
  steps: [
    { name: 'admit', probe: 'repeat', do: async context => admit(context) },
    { name: 'backup', probe: 'repeat', do: backUp },
  ],
}

function admit({ params, services, sagaId }: Context): Json {
  const snapshot = services.fleet.snapshot(services.clock.now(), sagaId)
  const vm = snapshot.vms.find(each => each.id === params.vmId)
  if (vm === undefined) throw new LifeboatError('not-found', `no blade reports ${params.vm} any more`)
  if (vm.blade !== params.blade) {
    throw new LifeboatError('refused', `${params.vm} is on ${vm.blade} now: ask for its backup again`)
  }
  if (vm.state === 'moving') {
    throw new LifeboatError('busy', `${params.vm} is part of a move (operation ${vm.operation})`)
  }
  // A backup carries no right to start anything: the epoch stays.
  return services.store.vms.raise(params.vmId, false)
}

async function backUp(context: Context): Promise<Json> {
  const { params, services, sagaId } = context
  const { epoch, generation } = context.results.admit as { epoch: number; generation: number }
  const { mode, force } = params
  try {
    const outcome = await runOrder(services, {
      blade: params.blade,
      operation: sagaId,
      step: 'backup',
      deadlineAt: params.deadlineAt,
      vmId: params.vmId,
      epoch,
      generation,
      kind: { $case: 'backup', value: { mode, force } },
      again: false,
      signal: context.signal,
      onProgress: (done, total) => context.progress(done, total),
    })
    note(context, '')
    services.lookAtVaults()
    return outcome
  } catch (error) {
    if (errorCode(error) !== 'aborted') note(context, formatErrorChain(error))
    throw error
  }
}

/** Under the time of its begin: a repetition after a restart is the same outcome. */
function note({ params, services, sagaId }: Context, text: string): void {
  services.store.backups.addOutcome({
    vmId: params.vmId,
    at: services.store.operations.get(sagaId)?.startedAt ?? services.clock.now(),
    ok: text === '',
    blade: params.blade,
    source: sagaId,
    text,
  })
}
