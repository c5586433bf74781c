// `npm run test:lab`, `npm run test:lab:backups`: bring the lab up from new disks, run one folder of stories in the order of
// their names, take it down.
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { down } from './down.ts'
import { describeError, LabError } from './errors.ts'
import { FAILURES_FILE, requireLabRecord } from './place.ts'
import { tellPostMortem } from './post-mortem.ts'
import { phase, say } from './say.ts'
import { exclusively } from './uml/process-record.ts'
import { up } from './up.ts'

const STORIES = join(import.meta.dirname, 'stories')
const FIRST_FAILURES = join(import.meta.dirname, 'first-failures.ts')

const {
  values: options,
  positionals: [suite = '', ...only],
} = parseArgs({
  allowPositionals: true,
  options: {
    /** Uses the lab that is up and leaves it up: for whoever writes a story. */
    keep: { type: 'boolean', default: false },
    /** A package to install, instead of building one. */
    deb: { type: 'string' },
  },
})

/**
 * Runs the stories, or those whose file name has one of the words of the command line in it. They are a process of their
 * own, so that the lab goes down even when node:test itself breaks.
 */
async function runStories(stopped: AbortSignal): Promise<boolean> {
  const folder = join(STORIES, suite)
  const files = readdirSync(folder)
    .filter(
      name => name.endsWith('.test.ts') && (only.length === 0 || only.some(word => name.includes(word))),
    )
    .sort()
  if (files.length === 0) throw new LabError(`no story of ${suite} has ${only.join(' or ')} in its name`)
  const flags = ['--test', '--test-concurrency=1']
    .concat(['--test-reporter=spec', '--test-reporter-destination=stdout'])
    .concat([`--test-reporter=${FIRST_FAILURES}`, `--test-reporter-destination=${FAILURES_FILE}`])
  const child = spawn(process.execPath, [...flags, ...files.map(name => join(folder, name))], {
    stdio: 'inherit',
  })
  stopped.addEventListener('abort', () => child.kill('SIGTERM'), { once: true })
  return await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => resolve(code === 0))
  })
}

/** Last in the log, where a long list of follow-on failures does not bury it: the state of the hosts, and what came first. */
async function explain(): Promise<void> {
  await tellPostMortem()
  say(`what failed first:\n${readFileSync(FAILURES_FILE, 'utf8')}`)
}

/** Returns whether every story passed. The lab is down afterwards, whatever happened, unless it is to be kept. */
async function main(): Promise<boolean> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())
  if (options.keep) {
    requireLabRecord()
    return await runStories(stop.signal)
  }
  let passed = false
  try {
    await up({ blades: 3, product: true, fresh: true, deb: options.deb })
    if (!stop.signal.aborted) passed = await runStories(stop.signal)
    if (!passed) await explain()
  } finally {
    // After a failure the disks stay: `npm run lab -- up` brings the fleet back as it was for a closer look.
    await down({ all: passed })
  }
  return passed
}

const SUITES = readdirSync(STORIES).filter(name => name !== 'support')

try {
  if (!SUITES.includes(suite)) throw new LabError(`name a folder of stories first: ${SUITES.join(' or ')}`)
  let passed = false
  // The whole run, so that nobody takes the lab away under the stories, or runs them twice at a time.
  await exclusively(async () => {
    passed = await phase(`stories of ${suite}`, main)
  })
  if (!passed) say('failed')
  process.exitCode = passed ? 0 : 1
} catch (error) {
  process.stderr.write(`test:lab: ${describeError(error)}\n`)
  process.exitCode = 1
}
