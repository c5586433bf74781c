import type { Clock } from '../../shared/clock.ts'
import { MINUTE_MS } from '../../shared/domain/units.ts'
import type { Logger } from '../../shared/log.ts'
import type { Json, SagaView } from '../../shared/saga/definition.ts'
import type { SagaJournal } from '../../shared/saga/journal.ts'

/** Dropping the snapshot of a busy disk took seconds; a snapshot that does not go must not keep a VM on a dying blade. */
const STAND_ASIDE_LIMIT_MS = 2 * MINUTE_MS

/** What is asked of the saga runner. */
interface Runner {
  abort(id: string): SagaView
  whenEnded(id: string): Promise<SagaView>
}

/** Backups of one VM that have not ended, by the journal. */
export function unfinishedBackups(journal: SagaJournal, vmId?: string): readonly string[] {
  return journal
    .unfinished()
    .filter(({ kind, params }) => kind === 'backup-vm' && (vmId === undefined || vmIdOf(params) === vmId))
    .map(({ id }) => id)
}

/**
 * Ends the backups of a VM for work that has priority, and waits until their snapshots are gone. A backup that the
 * vault lists already only drops its snapshot. Never throws for a backup that ends badly: the VM shall move all the same.
 */
export async function standAside(
  vmId: string,
  parts: { journal: SagaJournal; runner: () => Runner; clock: Clock; log: Logger },
): Promise<void> {
  const { journal, clock, log } = parts
  const ids = unfinishedBackups(journal, vmId)
  if (ids.length === 0) return
  const over = new AbortController()
  const ended = ids.map(async id => {
    log.info(`backup ${id}: stands aside`)
    parts.runner().abort(id)
    const view = await parts.runner().whenEnded(id)
    if (view.state === 'needs-admin') {
      log.warn(`backup ${id} left something behind; the VM does not wait for it`, { error: view.error })
    }
  })
  const limit = clock.sleep(STAND_ASIDE_LIMIT_MS, over.signal).then(() => {
    if (!over.signal.aborted) log.warn('a backup does not end; the VM does not wait for it', { backups: ids })
  })
  try {
    await Promise.race([Promise.allSettled(ended), limit])
  } finally {
    over.abort()
  }
}

function vmIdOf(params: Json): Json | undefined {
  return typeof params === 'object' && params !== null && 'vmId' in params ? params.vmId : undefined
}
