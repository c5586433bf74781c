import { posix } from 'node:path'
import { LifeboatError } from '../../shared/errors.ts'

export interface LvName {
  readonly group: string
  readonly name: string
}

// lvm(8) "VALID NAMES"; a leading '-' would be taken for an option.
const NAME = /^(?!-)(?!\.{1,2}$)[A-Za-z0-9+_.-]{1,127}$/

export const lvPath = ({ group, name }: LvName): string => `/dev/${group}/${name}`

/**
 * Which LV a path would be: `/dev/vg0/web01` or `/dev/mapper/vg0-web01` (a dash inside a name is doubled there).
 * Undefined when the path has neither form. Whether such an LV exists is LVM's to say: /dev/md/0 has the form too.
 */
export function lvOfPath(path: string): LvName | undefined {
  if (posix.normalize(path) !== path) return undefined
  const [empty, dev, group, name, ...rest] = path.split('/')
  if (empty !== '' || dev !== 'dev' || group === undefined || name === undefined || rest.length > 0) {
    return undefined
  }
  return group === 'mapper' ? lvOfMapperName(name) : checked(group, name)
}

/** As `lvOfPath`; throws `refused` when the path can be none of an LV. */
export function lvOfPathOrRefuse(path: string): LvName {
  const name = lvOfPath(path)
  if (name === undefined) throw new LifeboatError('refused', `${path} is no path of an LV`)
  return name
}

function lvOfMapperName(text: string): LvName | undefined {
  // The one dash with no dash beside it parts group and name.
  const parts = /^((?:[^-]|--)+)-((?:[^-]|--)+)$/.exec(text)
  if (parts === null) return undefined
  return checked((parts[1] ?? '').replaceAll('--', '-'), (parts[2] ?? '').replaceAll('--', '-'))
}

function checked(group: string, name: string): LvName | undefined {
  return NAME.test(group) && NAME.test(name) ? { group, name } : undefined
}

/** `vg0/pool` of a thin pool; undefined when it is no such name. */
export function parsePoolName(text: string): LvName | undefined {
  const [group, name, ...rest] = text.split('/')
  return group === undefined || name === undefined || rest.length > 0 ? undefined : checked(group, name)
}
