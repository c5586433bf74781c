import { readFileSync } from 'node:fs'
import type * as z from 'zod'
import { writeDurably } from '../../../shared/durable-file.ts'
import type { Logger } from '../../../shared/log.ts'

/** A small record of the vault about itself: all of it can be found out again, so a lost one is no error. */
export interface StateFile<T> {
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
  let value = read(path, schema) ?? fallback
  return {
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

function read<T>(path: string, schema: z.ZodType<T>): T | undefined {
  try {
    const result = schema.safeParse(JSON.parse(readFileSync(path, 'utf8')))
    return result.success ? result.data : undefined
  } catch {
    return undefined
  }
}
