import { createLogger as createWinston, format, type Logform, transports } from 'winston'
import { systemClock } from './clock.ts'
import { formatErrorChain } from './errors.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFormat = 'journal' | 'json' | 'console'

/**
 * One event, one line, once. INFO is for state changes ("vm web01: moving => running"); WARN and ERROR are a fixed
 * message plus fields, so that they can be searched for. The subsystem names who speaks.
 */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void
  info(message: string, fields?: Record<string, unknown>): void
  warn(message: string, fields?: Record<string, unknown>): void
  error(message: string, fields?: Record<string, unknown>): void
  /** The same log under `parent/subsystem`. */
  child(subsystem: string): Logger
}

// Enrolment secrets, BMC passwords and private keys pass through these fields; a log is copied into mails and tickets.
const SECRET_FIELD = /token|secret|password|passphrase|privatekey|private_key/i

// sd-daemon(3): journald takes the priority from this prefix and strips it.
const JOURNAL_PRIORITY: Record<LogLevel, number> = { error: 3, warn: 4, info: 6, debug: 7 }

/** Writes to standard error, so that a program's answer on standard output stays clean. */
export function createLogger(options: { level: LogLevel; format: LogFormat }): Logger {
  const winston = createWinston({
    level: options.level,
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    format: lineFormat(options.format),
    transports: [new transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] })],
  })
  return fromSink((level, subsystem, message, fields) => {
    winston.log({ level, message, subsystem, fields: fields === undefined ? {} : redactFields(fields) })
  }, '')
}

/** Says nothing; for tests and for tools whose only output is their answer. */
export const silentLogger: Logger = fromSink(() => {}, '')

type Sink = (level: LogLevel, subsystem: string, message: string, fields?: Record<string, unknown>) => void

function fromSink(sink: Sink, subsystem: string): Logger {
  return {
    debug: (message, fields) => sink('debug', subsystem, message, fields),
    info: (message, fields) => sink('info', subsystem, message, fields),
    warn: (message, fields) => sink('warn', subsystem, message, fields),
    error: (message, fields) => sink('error', subsystem, message, fields),
    child: name => fromSink(sink, subsystem === '' ? name : `${subsystem}/${name}`),
  }
}

/** Errors become their chain in one line, secrets become `[hidden]`, at any depth. */
export function redactFields(fields: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields)) {
    result[name] = SECRET_FIELD.test(name) ? '[hidden]' : plainValue(value)
  }
  return result
}

function plainValue(value: unknown): unknown {
  if (value instanceof Error) return formatErrorChain(value)
  if (Array.isArray(value)) return value.map(plainValue)
  if (typeof value === 'object' && value !== null) return redactFields(value as Record<string, unknown>)
  return value
}

/** `<6>intake: blade joined blade=blade03`: always exactly one line, whatever the fields hold. */
export function formatJournalLine(
  level: LogLevel,
  subsystem: string,
  message: string,
  fields: Record<string, unknown>,
): string {
  return `<${JOURNAL_PRIORITY[level]}>${formatPlainLine(subsystem, message, fields)}`
}

function formatPlainLine(subsystem: string, message: string, fields: Record<string, unknown>): string {
  const words = [subsystem === '' ? message : `${subsystem}: ${message}`]
  for (const [name, value] of Object.entries(fields)) {
    if (value !== undefined) words.push(`${name}=${formatFieldValue(value)}`)
  }
  return words.join(' ').replaceAll(/[\r\n]+/g, ' | ')
}

function formatFieldValue(value: unknown): string {
  if (typeof value === 'string') return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value)
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

function lineFormat(kind: LogFormat): Logform.Format {
  if (kind === 'json') {
    return format.printf(info => {
      const { level, message, subsystem, fields } = readInfo(info)
      return JSON.stringify({ at: isoTime(), level, subsystem, message, ...fields })
    })
  }
  return format.printf(info => {
    const { level, message, subsystem, fields } = readInfo(info)
    if (kind === 'journal') return formatJournalLine(level, subsystem, message, fields)
    return `${isoTime().slice(11, 19)} ${level.padEnd(5)} ${formatPlainLine(subsystem, message, fields)}`
  })
}

function readInfo(info: Logform.TransformableInfo) {
  return {
    level: info.level as LogLevel,
    message: String(info.message),
    subsystem: info.subsystem as string,
    fields: info.fields as Record<string, unknown>,
  }
}

function isoTime(): string {
  return new Date(systemClock.now()).toISOString()
}
