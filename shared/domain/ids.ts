import { LifeboatError } from '../errors.ts'

/**
 * Names that reach a shell-free argv, a file name, an LV name or a certificate are checked once, here.
 * Branded strings: the only way to make one is its parse function.
 */
export type BladeName = string & { readonly __brand: 'BladeName' }
export type VmName = string & { readonly __brand: 'VmName' }
export type VmId = string & { readonly __brand: 'VmId' }

const BLADE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
// libvirt takes nearly anything; '/' and control characters would leave our directories, a leading '-' or '.' an argv.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are exactly what is refused
const VM_NAME = /^(?![-.])[^/\u0000-\u001f\u007f]{1,200}$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** A blade's name is a DNS label: it stands in certificates. Throws `bad-input`. */
export function parseBladeName(text: string): BladeName {
  if (!BLADE_NAME.test(text)) {
    throw new LifeboatError(
      'bad-input',
      `'${text}' is not a blade name: lower-case letters, digits and '-', at most 63`,
    )
  }
  return text as BladeName
}

export function isVmName(text: string): boolean {
  return VM_NAME.test(text)
}

/** Throws `bad-input` for a slash, a control character, a leading '-' or '.', or more than 200 characters. */
export function parseVmName(text: string): VmName {
  if (!isVmName(text)) {
    throw new LifeboatError(
      'bad-input',
      `'${text}' is not a VM name: no '/', no control characters, not starting with '-' or '.', 1 to 200 characters`,
    )
  }
  return text as VmName
}

/**
 * Names of the VMs that a boot test makes begin so. They are reported like any VM, for they take room; nobody counts
 * them to the fleet's VMs: no alert about them, no move, no backup.
 */
export const TEST_VM_PREFIX = 'lifeboat-test-'

export function isTestVm(name: string): boolean {
  return name.startsWith(TEST_VM_PREFIX)
}

/** libvirt's UUID of a domain, lower case. Throws `bad-input`. */
export function parseVmId(text: string): VmId {
  const lower = text.toLowerCase()
  if (!UUID.test(lower)) throw new LifeboatError('bad-input', `'${text}' is not a VM id (UUID)`)
  return lower as VmId
}
