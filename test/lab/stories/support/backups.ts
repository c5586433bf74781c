import assert from 'node:assert/strict'
import type { Operation } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import type { PointSummary } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import { checkRing, type RingReport } from '../../guest/record.ts'
import type { Lab } from '../../lab.ts'
import { describeOperation, ended, operation } from './fleet.ts'

/** The vault's folder on the depot, as the package makes it. */
export const VAULT_DIR = '/var/lib/lifeboat/vault'

export const points = (lab: Lab, ...args: string[]) =>
  lab.cliJson<PointSummary[]>(['backup', 'list', ...args])

/** Begins backups and returns their operations without waiting. */
export const beginBackups = (lab: Lab, ...args: string[]) =>
  lab.cliJson<Operation[]>(['backup', 'run', ...args, '--no-wait'])

/** Backs one VM up and fails with all that the operation says unless it is done. Returns the operation. */
export async function backUp(lab: Lab, vm: string): Promise<Operation> {
  const [begun] = await beginBackups(lab, vm)
  assert.ok(begun !== undefined, `no backup of ${vm} was begun`)
  await ended(lab, begun.id)
  const found = await operation(lab, begun.id)
  assert.equal(found.state, 'done', describeOperation(found))
  assert.notEqual(found.point, '', `${found.id} names no restore point`)
  return found
}

/** The disk of a restore point as the vault gives it out, read on the depot by its own program. */
export async function exportedRing(lab: Lab, ref: string, target: string): Promise<RingReport> {
  const file = '/root/export.raw'
  await lab.mustExec('depot', ['rm', '-f', file])
  const what = ['export', ref, '--disk', target, '--format', 'raw', '--to', file, '--vault', VAULT_DIR]
  await lab.mustExec('depot', ['lifeboat-vault', ...what], { timeoutMs: 120_000 })
  const image = await lab.exec('depot', ['cat', file], { timeoutMs: 120_000 })
  return checkRing(image.stdout)
}

/** LVs of a blade that a backup of ours made, the bases kept for the next night apart. */
export async function ownSnapshots(lab: Lab, blade: string): Promise<string[]> {
  const argv = ['lvs', '--noheadings', '--separator', '|', '-o', 'lv_name,lv_tags', '@lifeboat.snapshot']
  const text = await lab.mustExec(blade, argv, { timeoutMs: 60_000 })
  return text
    .split('\n')
    .map(line => line.trim())
    .filter(line => line !== '' && !line.includes('lifeboat.base.'))
}
