import type { Clock, IdSource } from '../../../shared/clock.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import type { Logger } from '../../../shared/log.ts'
import type { Transfer } from '../../backup/transfer.ts'
import type { Hypervisor } from '../../hypervisor/hypervisor.ts'
import type { Volumes } from '../../storage/volumes.ts'
import { openVaultStore, type VaultStore, type VaultStoreOptions } from '../store/vault-store.ts'
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
  context: Pick<VaultCommandContext, 'clock' | 'ids' | 'log' | 'run'>,
  dir: string,
  access: VaultStoreOptions['access'],
  act: (store: VaultStore) => Promise<T>,
): Promise<T> {
  const { clock, ids, log, run } = context
  const store = openVaultStore({ dir, clock, ids, log, run, access })
  try {
    return await act(store)
  } finally {
    await store.close()
  }
}
