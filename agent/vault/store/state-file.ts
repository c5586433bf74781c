import { readFileSync } from 'node:fs'
import type * as z from 'zod'
import { writeDurably } from '../../../shared/durable-file.ts'
import type { Logger } from '../../../shared/log.ts'
import { fileErrorCode } from './files.ts'

/** A small record of the vault about itself: all of it can be found out again, so a lost one is no error. */
export interface StateFile<T> {
  /** It is there and cannot be read: what it said is gone. */
  readonly isLost: boolean
  value(): T
  /** Kept in memory whether it could be written or not: on a full disk the vault goes on with what it knows. */
  set(value: T): void
}

export function openStateFile<T>(
  path: string,
  schema: z.ZodType<T>,
  fallback: T,
  options: { readonly log: Logger; readonly writable: boolean },
): StateFile<T> {
  const found = read(path, schema, options.log)
  let value = found === 'lost' || found === undefined ? fallback : found.value
  return {
    isLost: found === 'lost',
    value: () => value,
    set: next => {
      value = next
      if (!options.writable) return
      try {
        writeDurably(path, `${JSON.stringify(next)}\n`, 0o644)
      } catch (error) {
        options.log.warn('a record of the vault cannot be written', { path, error })
      }
    },
  }
}

/** Undefined when there is none yet. */
function read<T>(
  path: string,
  schema: z.ZodType<T>,
  log: Logger,
): { readonly value: T } | 'lost' | undefined {
  try {
    return { value: schema.parse(JSON.parse(readFileSync(path, 'utf8'))) }
  } catch (error) {
    if (fileErrorCode(error) === 'ENOENT') return undefined
    log.error('a record of the vault cannot be read: what it said is found out again', { path, error })
    return 'lost'
  }
}
