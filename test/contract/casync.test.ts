import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { ROOT } from '../rules/source-files.ts'
import { casyncInterop } from './casync.ts'

const run = promisify(execFile)
const shell = async (command: string) => (await run('/bin/sh', ['-c', command])).stdout.trimEnd()
const isThere = await shell('command -v casync').then(
  () => true,
  () => false,
)

test('what the vault keeps is read by casync, and what casync keeps is read by us', {
  skip: isThere ? false : 'casync is not installed here (apt install casync): the lab runs this too',
}, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'lifeboat-casync-'))
  try {
    const program = `'${process.execPath}' '${ROOT}/agent/vault/main.ts'`
    await casyncInterop({ shell, program, folder })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
