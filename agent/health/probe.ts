import type { Fact } from '../../shared/domain/health.ts'

/** Reads one kind of thing. Never throws: what cannot be read is a fact of kind `unreadable`. */
export interface Probe {
  readonly subject: 'mirror' | 'bond' | 'power'
  /** How often it is worth reading, given what it costs. */
  readonly intervalMs: number
  read(): Promise<readonly Fact[]>
}
