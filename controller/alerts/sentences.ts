import { plural } from '../../shared/domain/units.ts'
import type { Case } from '../diagnosis/case.ts'
import { where } from '../diagnosis/words.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'

/** `4 VMs (db01, mail01, web01, web02)`: those on the blades the case covers. */
export function vmsOf(
  each: Case,
  snapshot: FleetSnapshot,
): { readonly count: number; readonly text: string } {
  const names = snapshot.vms.filter(vm => each.blades.includes(vm.blade)).map(vm => vm.name)
  // Ten names are read, thirty are not.
  const shown =
    names.length <= 10 ? names.join(', ') : `${names.slice(0, 10).join(', ')} and ${names.length - 10} more`
  return { count: names.length, text: `${plural(names.length, 'VM')} (${shown})` }
}

/**
 * `4 VMs (…) run on; their data has one copy left.` `fate` follows the VMs: of several, with the verb as its first word
 * and no other of theirs but after `they`. Without VMs that is all there is to say.
 */
export function vmsSentence(each: Case, snapshot: FleetSnapshot, fate: string): string {
  const vms = vmsOf(each, snapshot)
  if (vms.count === 0) return each.scope === 'fleet' ? '' : `No VM is on ${where(each)}.`
  return `${vms.text} ${vms.count === 1 ? ofOne(fate) : fate}.`
}

const OF_ONE: Readonly<Record<string, string>> = {
  'they are': 'it is',
  'they do': 'it does',
  themselves: 'itself',
  their: 'its',
  them: 'it',
}

/** `runs on; its data has one copy left` */
function ofOne(fate: string): string {
  return fate
    .replace(/^(run|stay)\b/, '$1s')
    .replace(/^are\b/, 'is')
    .replace(/\b(they are|they do|themselves|their|them)\b/g, words => OF_ONE[words] ?? words)
}
