import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LoggedLine } from '../fakes/recording-logger.ts'

const GOLDEN = join(import.meta.dirname, 'golden')

/** What the controller said, as a story that reads the same in every run. */
export interface StoryLog {
  take(who: string, line: LoggedLine): void
  /** `## chapter`: tells what the test does at this place. */
  chapter(text: string): void
  /** The story so far. */
  text(): string
  /** Compares with test/simulation/golden/<name>.log; UPDATE_GOLDEN=1 writes it anew. */
  expectGolden(name: string): void
}

/** Dates, durations and ports differ from run to run and stand for nothing here (pure). */
function withoutChance(text: string): string {
  return text
    .replace(/\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?Z?( UTC)?/g, 'TIME')
    .replace(/\b\d+(\.\d+)? (ms|s|min|h)( \d+ (s|min|h))?\b/g, 'DURATION')
    .replace(/127\.0\.0\.1:\d+/g, 'ADDRESS')
}

/** `vm web01`, `blade blade03`, `case c1`, `alert a1`: whose line it is (pure). */
function subjectOf(message: string): string {
  return /^(vm|blade|case|alert|plan) \S+/.exec(message)?.[0] ?? 'controller'
}

/**
 * The lines of a chapter are ordered by subject: what happens to one VM is a sequence, what happens to two at once is
 * none. Within a subject the order is that of the log.
 */
export function createStoryLog(): StoryLog {
  const chapters: { title: string; lines: string[] }[] = []

  const text = () =>
    chapters
      .map(({ title, lines }) => {
        const sorted = lines
          .map((line, index) => ({ line, index, subject: subjectOf(line) }))
          .sort((a, b) => a.subject.localeCompare(b.subject, 'en', { numeric: true }) || a.index - b.index)
        return [`## ${title}`, ...sorted.map(({ line }) => withoutChance(line))].join('\n')
      })
      .join('\n\n')

  return {
    take(who, line) {
      if (who !== 'controller' || (line.level !== 'info' && line.level !== 'warn')) return
      // A countdown, told or not by how busy the host is.
      if (line.message.includes('will be emptied at')) return
      chapters.at(-1)?.lines.push(line.level === 'warn' ? `${line.message} (warning)` : line.message)
    },
    chapter(title) {
      chapters.push({ title, lines: [] })
    },
    text,
    expectGolden(name) {
      const path = join(GOLDEN, `${name}.log`)
      const found = `${text()}\n`
      if (process.env.UPDATE_GOLDEN === '1') {
        mkdirSync(GOLDEN, { recursive: true })
        writeFileSync(path, found)
        return
      }
      assert.equal(found, readFileSync(path, 'utf8'), `the story differs from ${path}`)
    },
  }
}
