import { MINUTE_MS, SECOND_MS } from '../../shared/domain/units.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Json, ProbeAnswer, StepContext } from '../../shared/saga/definition.ts'
import { VERSION } from '../../shared/version.ts'
import type { BackupParams } from '../operations/params.ts'
import type { OperationServices } from '../operations/services.ts'
import type { Manifest } from '../vault/format/manifest.ts'
import { formatPoint } from '../vault/format/point.ts'
import { readCheck, readSnapshot } from './backup-journal.ts'
import { usualChunkBytes } from './chunk-size.ts'
import type { BackupJob } from './transfer.ts'
import { askVault } from './vaults.ts'
import { wholeDefinition } from './whole-definition.ts'

type Context = StepContext<BackupParams, OperationServices>

/** While the snapshot stands it grows: a vault whose last place was taken meanwhile is not waited for all night. */
const BUSY_LIMIT_MS = 15 * MINUTE_MS
const ASK_AGAIN_MS = 15 * SECOND_MS
/** 1 + 2 + 4 + 8 s: a vault that restarts is back by then. */
const PROBE_TRIES = 5

/**
 * Reads the snapshot and sends it; resolves when the vault lists the restore point. The snapshot is watched meanwhile:
 * when it had to be dropped, that is the reason told, not the read error that follows from it.
 */
export async function send(context: Context): Promise<Json> {
  const { services, results, signal } = context
  const { plan } = readCheck(results.check)
  const job = await makeJob(context)
  const over = new AbortController()
  const stop = AbortSignal.any([signal, over.signal])
  let overflow: unknown
  const watching = services.snapshots.watch(plan, services.run, stop).catch((error: unknown) => {
    if (stop.aborted) return
    overflow = error
    over.abort()
  })
  try {
    return toResult(await transferPatiently(context, job, stop))
  } catch (error) {
    if (overflow !== undefined) throw overflow
    throw error
  } finally {
    over.abort()
    await watching
  }
}

async function transferPatiently(context: Context, job: BackupJob, signal: AbortSignal): Promise<Manifest> {
  const { services, progress } = context
  const endsAt = services.clock.now() + BUSY_LIMIT_MS
  for (;;) {
    try {
      return await services.transfer.backup(job, { signal, onProgress: progress })
    } catch (error) {
      if (errorCode(error) !== 'busy' || services.clock.now() >= endsAt) throw error
      await services.clock.sleep(ASK_AGAIN_MS, signal)
      if (signal.aborted) throw error
    }
  }
}

async function makeJob({ params, services, results, sagaId }: Context): Promise<BackupJob> {
  const { vault, memoryBytes, vcpus } = readCheck(results.check)
  const { at, consistency, pauseMs, ...snapshot } = readSnapshot(results.snapshot)
  // One size for what is read and for what the manifest says.
  const sources = snapshot.sources.map(source => ({
    ...source,
    chunkBytes: usualChunkBytes(source.sizeBytes),
  }))
  const changed = services.changedRanges.get(sagaId)
  const vm = { id: params.vmId, name: params.vmName }
  const volumes = sources.map(({ volume }) => volume)
  return {
    kind: 'backup',
    vault: services.vaultAccess(vault),
    draft: {
      vm,
      point: formatPoint(at),
      at,
      consistency,
      pauseMs,
      // A disk may have been added since the snapshot.
      definition: await wholeDefinition(services.hypervisor, vm, volumes),
      memoryBytes,
      vcpus,
      disks: sources.map(({ volume, sizeBytes, chunkBytes }) => {
        const { target, format, storage, pool, path } = volume
        const inside = format === 'qcow2' ? { virtualBytes: volume.sizeBytes } : {}
        return { target, sizeBytes, ...inside, format, storage, pool, path, chunkBytes }
      }),
      writer: `lifeboat-agent ${VERSION}`,
    },
    reads: sources.map(({ volume, path, sizeBytes, chunkBytes }) => ({
      target: volume.target,
      path,
      sizeBytes,
      chunkBytes,
      changed: changed?.get(volume.target),
    })),
    rateLimitBytes: services.backupSettings().rateLimitBytes,
  }
}

/** After a failure or a kill: does the vault list the restore point? */
export async function probeSend(context: Context): Promise<ProbeAnswer> {
  const { params, services, results, signal } = context
  const { vault } = readCheck(results.check)
  const ref = { vmId: params.vmId, point: formatPoint(readSnapshot(results.snapshot).at) }
  for (let tries = 1; ; tries++) {
    try {
      const manifest = await askVault(services.vaults, services.vaultAccess(vault), door =>
        door.manifest(ref),
      )
      return { state: 'done', result: toResult(manifest) }
    } catch (error) {
      if (errorCode(error) === 'not-found') return { state: 'not-done' }
      // The snapshot must go, whoever is away. Should the restore point be listed after all, it is whole (rule 4), and
      // one more of it than this blade knows of harms nobody.
      if (tries >= PROBE_TRIES) {
        services.log.warn(
          `vm ${params.vmName}: vault ${vault.name} does not say whether it has ${ref.point}`,
          {
            error: formatErrorChain(error),
          },
        )
        return { state: 'not-done' }
      }
      await services.clock.sleep(SECOND_MS * 2 ** (tries - 1), signal)
      if (signal.aborted) throw new LifeboatError('aborted', 'the agent ends', { cause: error })
    }
  }
}

/** Under the names that the result of an order has. */
function toResult({ point, consistency, pauseMs, figures }: Manifest): Json {
  const { readBytes, sentBytes, storedBytes, durationMs } = figures
  return { point, consistency, pauseMs, transferredBytes: sentBytes, durationMs, readBytes, storedBytes }
}
