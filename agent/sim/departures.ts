import { errorCode, LifeboatError } from '../../shared/errors.ts'
import type { MigrateOptions, MigrationSockets, MigrationStatistics } from '../hypervisor/hypervisor.ts'
import { migrateAway, type SourceOptions } from './migration-source.ts'
import type { SimVm } from './vm-table.ts'

/** The migrations that leave a blade now. They go on when whoever began them is gone, as libvirtd's own do. */
export interface Departures {
  /** See `Hypervisor.migrate`. */
  begin(vm: SimVm, sockets: MigrationSockets, options: MigrateOptions): Promise<MigrationStatistics>
  isUnderWay(id: string): boolean
  /** Resolves when nothing of it is left; at once when there is none. */
  cancel(id: string): Promise<void>
}

/** Joins the ways a migration is ended early, and gives each its own error. */
async function limited(
  vm: SimVm,
  sockets: MigrationSockets,
  source: SourceOptions,
  cancelled: AbortSignal,
  options: MigrateOptions,
): Promise<MigrationStatistics> {
  const late = new AbortController()
  const over = new AbortController()
  void source.clock.sleep(options.timeoutMs, over.signal).then(() => {
    if (!over.signal.aborted) late.abort()
  })
  const signal = AbortSignal.any([options.signal, cancelled, late.signal])
  try {
    return await migrateAway(vm, sockets, source, { ...options, signal })
  } catch (error) {
    const what = `failed to migrate ${vm.definition.name}`
    if (options.signal.aborted || cancelled.aborted)
      throw new LifeboatError('aborted', what, { cause: error })
    if (late.signal.aborted) throw new LifeboatError('timeout', what, { cause: error })
    const code = errorCode(error)
    throw new LifeboatError(code === 'internal' ? 'command-failed' : code, what, { cause: error })
  } finally {
    over.abort()
  }
}

/** No migration under way. */
export function createDepartures(source: SourceOptions): Departures {
  const underWay = new Map<string, { cancelled: AbortController; ended: Promise<void> }>()
  return {
    async begin(vm, sockets, options) {
      const { id, name } = vm.definition
      if (underWay.has(id)) throw new LifeboatError('busy', `${name} is migrating already`)
      const cancelled = new AbortController()
      const { promise: ended, resolve } = Promise.withResolvers<void>()
      underWay.set(id, { cancelled, ended })
      try {
        return await limited(vm, sockets, source, cancelled.signal, options)
      } finally {
        underWay.delete(id)
        resolve()
      }
    },
    isUnderWay: id => underWay.has(id),
    async cancel(id) {
      const departure = underWay.get(id)
      departure?.cancelled.abort()
      await departure?.ended
    },
  }
}
