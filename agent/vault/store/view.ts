import type { PointRef } from '../format/point.ts'
import type { BackupSession, BeginBackup, PointSummary, Vault } from '../vault.ts'
import { notListed } from './listing.ts'

/** What the view stands on: the vault, and a session on behalf of a blade. */
export interface ViewedStore extends Vault {
  beginAs(request: BeginBackup, blade: string): Promise<BackupSession>
  summary(ref: PointRef): Promise<PointSummary>
}

/**
 * The vault as one blade sees it: restore points its own certificate wrote, and those it was granted. Any other is not
 * there. It adds and reads; there is nothing to delete or overwrite with. `close` leaves the vault open.
 */
export function createView(store: ViewedStore, blade: string, isGranted: (ref: PointRef) => boolean): Vault {
  const mayRead = async (ref: PointRef): Promise<void> => {
    if (isGranted(ref)) return
    const point = await store.summary(ref)
    if (point.blade !== blade) throw notListed(ref)
  }
  return {
    begin: request => store.beginAs(request, blade),
    points: async vmId =>
      (await store.points(vmId)).filter(point => point.blade === blade || isGranted(point)),
    manifest: async ref => {
      await mayRead(ref)
      return await store.manifest(ref)
    },
    index: async (ref, target) => {
      await mayRead(ref)
      return await store.index(ref, target)
    },
    chunks: async (ref, ids, memory) => {
      await mayRead(ref)
      return await store.chunks(ref, ids, memory)
    },
    check: async (ref, options) => {
      await mayRead(ref)
      return await store.check(ref, options)
    },
    close: async () => {},
  }
}
