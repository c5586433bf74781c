import type { SagaDefinition } from '../../shared/saga/definition.ts'
import { backupVm } from '../backup/backup-saga.ts'
import { bootTest } from '../backup/boot-test-saga.ts'
import { restoreVm } from '../backup/restore-saga.ts'
import { confirmIncoming } from './confirm-incoming.ts'
import { discardIncoming } from './discard-incoming.ts'
import type { OrderKind } from './orders.ts'
import { pauseVm } from './pause-vm.ts'
import { prepareIncoming } from './prepare-incoming.ts'
import { releaseSource } from './release-source.ts'
import { resumeVm } from './resume-vm.ts'
import { sendCold } from './send-cold.ts'
import { sendLive } from './send-live.ts'
import type { OperationServices } from './services.ts'
import { startVm } from './start-vm.ts'
import { stopVm } from './stop-vm.ts'

// Each definition reads its own parameters out of the journal, so to the runner they are all alike.
// biome-ignore lint/suspicious/noExplicitAny: the parameters' type is the definition's own business
type AnyDefinition = SagaDefinition<any, OperationServices>

/** One saga for each kind of order; a kind without one does not compile. */
export const DEFINITIONS: Readonly<Record<OrderKind, AnyDefinition>> = {
  'start-vm': startVm,
  'stop-vm': stopVm,
  'pause-vm': pauseVm,
  'resume-vm': resumeVm,
  'prepare-incoming': prepareIncoming,
  'send-live': sendLive,
  'send-cold': sendCold,
  'confirm-incoming': confirmIncoming,
  'discard-incoming': discardIncoming,
  'release-source': releaseSource,
  'backup-vm': backupVm,
  'restore-vm': restoreVm,
  'boot-test': bootTest,
}
