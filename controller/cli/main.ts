#!/usr/bin/env node
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'

// Not where Node would keep it: below /tmp somebody else could put code there for root to run.
const cache = process.env.XDG_CACHE_HOME || (process.env.HOME && join(process.env.HOME, '.cache'))
if (cache) enableCompileCache(join(cache, 'lifeboat'))

const { runCli } = await import('./run.ts')
process.exitCode = await runCli(process.argv, () => Date.now())
