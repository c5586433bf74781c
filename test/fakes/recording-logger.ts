import { formatErrorChain } from '../../shared/errors.ts'
import type { Logger, LogLevel } from '../../shared/log.ts'

export interface LoggedLine {
  readonly level: LogLevel
  /** `controller/evacuation` */
  readonly subsystem: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** A logger that hands every line to `onLine`, below the given subsystem. */
export function createRecordingLogger(subsystem: string, onLine: (line: LoggedLine) => void): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, fields: Record<string, unknown> = {}) =>
      onLine({ level, subsystem, message, fields })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: name => createRecordingLogger(subsystem === '' ? name : `${subsystem}/${name}`, onLine),
  }
}

/** `message name=value …`, errors as their chain. */
export function formatLine(line: LoggedLine): string {
  const fields = Object.entries(line.fields)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${value instanceof Error ? formatErrorChain(value) : value}`)
  return [line.message, ...fields].join(' ')
}
