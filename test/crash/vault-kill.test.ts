import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { backUp, FIRST_NIGHT, makeVaultDir, type VaultDir } from '../fakes/vault-dir.ts'
import { ROOT } from '../rules/source-files.ts'

const never = new AbortController().signal

/** Lets the writer make `steps` of its steps, then kills it; the step it was about to make, undefined at its end. */
async function killAfter(dir: string, steps: number): Promise<string | undefined> {
  const child = spawn(process.execPath, [join(ROOT, 'test/crash/vault-writer.ts'), dir], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let left = steps
  let last: string | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    last = line
    if (left === 0 || line === 'end') break
    left--
    child.stdin.write('\n')
  }
  await kill(child)
  return last === 'end' ? undefined : last
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
}

/** Whatever it was killed in: what is listed is whole, nothing half is left, and the next nights work. */
async function requireSound(place: VaultDir): Promise<number> {
  const store = place.open()
  try {
    assert.deepEqual(readdirSync(join(place.dir, 'tmp')), [])
    const points = await store.points()
    for (const point of points) {
      assert.equal(point.state, 'whole', point.stateText)
      assert.deepEqual(await store.check(point, { signal: never }).then(({ bad }) => bad), [])
    }
    await backUp(store, { seeds: [1, 2, 3] })
    await backUp(store, { seeds: [3, 4, 5, 6], at: FIRST_NIGHT + 86_400_000 })
    assert.equal((await store.points()).length, 2)
    const report = await store.collect({ dryRun: false, signal: never })
    assert.deepEqual([report.refused, report.keptChunks], ['', 6])
    return points.length
  } finally {
    await store.close()
  }
}

test('a vault that is killed before any of its steps lists nothing half, and the next backups work', async () => {
  const seen: string[] = []
  const listed: number[] = []
  for (let steps = 0; ; steps++) {
    const place = makeVaultDir()
    try {
      const step = await killAfter(place.dir, steps)
      if (step === undefined) break
      seen.push(step)
      listed.push(existsSync(place.dir) ? await requireSound(place) : 0)
    } finally {
      place.remove()
    }
  }
  const backup = ['begin', 'settle', 'send', 'publish', 'settle', 'sync', 'sync']
  assert.deepEqual(seen, [...backup, ...backup, 'prune', 'collect'])
  assert.deepEqual(listed, [0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 1])
})
