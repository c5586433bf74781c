import type { VmView } from '../../fleet/snapshot.ts'
import { FILTERS, type Purpose } from '../filters.ts'
import { poolKey } from '../pools.ts'
import type { Room } from '../room.ts'
import { ruleOf } from '../rules.ts'
import type { Model } from './model.ts'

/** The solver itself sees to it that a VM moves to another blade; all that is about other VMs it has as room and sets. */
const ABOUT_TWO = FILTERS.filter(filter => !filter.room && filter.name !== 'elsewhere')

/**
 * The filters that look at nothing but the VM and the blade, asked once for each kind of VM and kind of blade: a fleet
 * of thousands has few of either. Those that ask for the blade by its name are asked only about VMs with such a rule.
 */
export function compileAllows(
  blades: readonly Room[],
  vms: readonly VmView[],
  purpose: Extract<Purpose, 'move' | 'restore'>,
): Model['allows'] {
  const filters = ABOUT_TWO.filter(filter => filter.purposes.includes(purpose))
  const byKind = filters.filter(filter => filter.named === undefined)
  const byName = filters.filter(filter => filter.named === true)
  const bladeKinds = kindsOf(blades, bladeKind)
  const vmKinds = kindsOf(vms, vmKind)
  const rules = blades[0]?.rules
  const isNamed = vms.map(vm => rules !== undefined && ruleOf(rules, vm.name).blades.length > 0)
  const answers = new Uint8Array(vmKinds.count * bladeKinds.count)
  const passes = (asked: readonly (typeof FILTERS)[number][], vm: number, blade: number) => {
    const candidate = {
      vm: vms[vm] as VmView,
      room: blades[blade] as Room,
      purpose,
      fleet: () => [],
      company: new Set<string>(),
    }
    return asked.every(filter => filter.check(candidate).length === 0)
  }
  return (vm, blade) => {
    const key = (vmKinds.of[vm] as number) * bladeKinds.count + (bladeKinds.of[blade] as number)
    if (answers[key] === UNASKED) answers[key] = passes(byKind, vm, blade) ? YES : NO
    return answers[key] === YES && (isNamed[vm] !== true || passes(byName, vm, blade))
  }
}

const UNASKED = 0
const YES = 1
const NO = 2

function kindsOf<Item>(
  items: readonly Item[],
  kindOf: (item: Item) => string,
): { readonly of: Int32Array; readonly count: number } {
  const numbers = new Map<string, number>()
  const of = Int32Array.from(items, item => {
    const kind = kindOf(item)
    const number = numbers.get(kind) ?? numbers.size
    numbers.set(kind, number)
    return number
  })
  return { of, count: numbers.size }
}

function bladeKind({ blade, pools }: Room): string {
  const { liveness, admin, health, capacity } = blade
  const { networks, cpuModels, hypervisor } = capacity ?? {}
  return JSON.stringify([
    liveness,
    admin,
    health,
    networks,
    cpuModels,
    hypervisor,
    pools.map(pool => poolKey(pool.storage, pool.name)),
  ])
}

function vmKind(vm: VmView): string {
  return JSON.stringify([
    vm.networks,
    vm.cpuModel,
    vm.machine,
    [...new Set(vm.volumes.map(volume => poolKey(volume.storage, volume.pool)))],
  ])
}
