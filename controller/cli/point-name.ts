import type { BackupName } from '../../proto/gen/lifeboat/v1/admin.ts'
import { LifeboatError } from '../../shared/errors.ts'

const POINT = /^\d{8}T\d{6}Z$/

/**
 * `web01` (its newest whole restore point) or `web01@20261128T020512Z`. Throws `bad-input` with the command that lists
 * them.
 */
export function parseBackupName(text: string): BackupName {
  const at = text.lastIndexOf('@')
  const vm = at < 0 ? text : text.slice(0, at)
  const point = at < 0 ? '' : text.slice(at + 1)
  if (vm === '' || (at >= 0 && !POINT.test(point))) {
    const list = vm === '' ? 'lifeboat backup list' : `lifeboat backup list ${vm}`
    throw new LifeboatError(
      'bad-input',
      `'${text}' names no restore point: VM for the newest, or VM@20261128T020512Z; ${list} shows all`,
    )
  }
  return { vm, point }
}

/** As it is typed. */
export function formatBackupName({ vm, point }: { readonly vm: string; readonly point: string }): string {
  return point === '' ? vm : `${vm}@${point}`
}
