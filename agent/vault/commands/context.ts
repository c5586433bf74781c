import type { Clock, IdSource } from '../../../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { Logger } from '../../../shared/log.ts'
import type { Transfer } from '../../backup/transfer.ts'
import type { Hypervisor } from '../../hypervisor/hypervisor.ts'
import type { Volumes } from '../../storage/volumes.ts'
import { openVaultStore, type VaultStore, type VaultStoreOptions } from '../store/vault-store.ts'
import { fileTrouble } from './file-trouble.ts'
import type { Counted } from './progress.ts'

/** What every command without a service gets; made once in main.ts, tests make their own. */
export interface VaultCommandContext {
  /** Standard output: tables for people, or JSON. */
  print(text: string): void
  /** Standard error. */
  note(text: string): void
  /** Shown when it takes longer than two seconds. Bytes, unless said otherwise. */
  progress(what: string, done: number, total: number, counted?: Counted): void
  /** `--output json`. */
  json(): boolean
  /** The exit code when nothing throws; 0 unless a command says otherwise. */
  exitWith(code: number): void
  /** Aborted by the first Ctrl-C: what was begun is taken back, then the command ends. */
  readonly interrupted: AbortSignal
  readonly clock: Clock
  readonly ids: IdSource
  readonly log: Logger
  readonly run: CommandRunner
  readonly transfer: Transfer
  /** The libvirt of this host, for `restore`. */
  hypervisor(): Hypervisor
  /** The storage of this host, for `restore`; image files go below these directories only. */
  volumes(directories: readonly string[]): Volumes
}

/** Prints the answer as JSON, or as the text made of it. */
export function show<T>(context: VaultCommandContext, answer: T, text: (answer: T) => string): void {
  context.print(context.json() ? JSON.stringify(answer, undefined, 2) : text(answer))
}

/** Opens the vault of a command and closes it after, whatever happens. */
export async function withVault<T>(
  context: StoreParts,
  dir: string,
  access: VaultStoreOptions['access'],
  act: (store: VaultStore) => Promise<T>,
): Promise<T> {
  const store = openStore(context, dir, access)
  try {
    return await act(store)
  } catch (error) {
    throw fileTrouble(`cannot work on the vault ${dir}`, dir, error)
  } finally {
    await store.close()
  }
}

type StoreParts = Pick<VaultCommandContext, 'clock' | 'ids' | 'log' | 'run'>

function openStore(context: StoreParts, dir: string, access: VaultStoreOptions['access']): VaultStore {
  const { clock, ids, log, run } = context
  try {
    return openVaultStore({ dir, clock, ids, log, run, access })
  } catch (error) {
    throw openingTrouble(dir, error)
  }
}

/** The cause comes from SQLite or the kernel, and tells nobody what to do. */
function openingTrouble(dir: string, error: unknown): unknown {
  const what = `cannot open the vault ${dir}`
  if (!(error instanceof LifeboatError)) return fileTrouble(what, dir, error)
  if (error.code === 'busy')
    return new LifeboatError('busy', `${error.message}: systemctl stop lifeboat-vault`)
  if (error.code !== 'unavailable') return error
  return new LifeboatError(
    'unavailable',
    `${what}: ${formatErrorChain(error)}: run it as root, or see ls -ld ${dir}`,
  )
}
