import type { ControllerConfig } from '../config.ts'
import { poolKey } from '../placement/pools.ts'
import type { FileBlade, FileVm, FleetFile } from './fleet-schema.ts'
import { usedGib } from './fleet-views.ts'
import type { Problems } from './problems.ts'

/** What is right in form and cannot be: names that are not there or twice, more in use than there is. */
export function checkFleet(file: FleetFile, config: ControllerConfig, problems: Problems): void {
  // Of two with one name the first counts: the other is told of, and makes no more problems.
  const blades = new Map(file.blades.toReversed().map(blade => [blade.name, blade]))
  const perBlade = Map.groupBy(file.vms, vm => vm.blade)
  tellTwice(file.blades, 'blades', problems)
  tellTwice(file.vms, 'vms', problems)
  for (const [index, blade] of file.blades.entries()) {
    const at = `blades.${index}`
    checkDomains(blade, at, file, problems)
    checkBlade(blade, perBlade.get(blade.name) ?? [], at, problems)
  }
  for (const [index, vm] of file.vms.entries()) {
    const blade = blades.get(vm.blade)
    const at = `vms.${index}`
    if (blade === undefined) problems.add(`${at}.blade`, `${vm.name} is on ${vm.blade}, which is no blade`)
    else checkVm(vm, blade, at, problems)
  }
  checkEvents(file, problems)
  checkRules(file, config, problems)
}

function tellTwice(things: readonly { readonly name: string }[], at: string, problems: Problems): void {
  const seen = new Set<string>()
  for (const [index, { name }] of things.entries()) {
    if (seen.has(name)) problems.add(`${at}.${index}.name`, `${name} is there twice`)
    seen.add(name)
  }
}

function checkDomains(blade: FileBlade, at: string, file: FleetFile, problems: Problems): void {
  const unknown = (kind: string, names: readonly string[], known: readonly string[] | undefined) => {
    for (const name of names) {
      if (known === undefined || known.includes(name)) continue
      problems.add(`${at}.${kind}`, `${blade.name} names ${name}, which is not in ${kind} of the file`)
    }
  }
  unknown('chassis', blade.chassis === '' ? [] : [blade.chassis], file.chassis)
  unknown('feeds', blade.feeds, file.feeds)
  unknown('switches', blade.switches, file.switches)
}

function checkBlade(blade: FileBlade, there: readonly FileVm[], at: string, problems: Problems): void {
  const { name, memoryGib, reservedMemoryGib } = blade
  const beside = memoryGib - reservedMemoryGib
  if (beside < 0) {
    problems.add(`${at}.reservedMemoryGib`, `${name} reserves ${reservedMemoryGib} of ${memoryGib} GiB`)
  }
  const used = there
    .filter(vm => vm.state !== 'stopped' && vm.state !== 'crashed')
    .reduce((sum, vm) => sum + vm.memoryGib, 0)
  if (beside >= 0 && used > beside) {
    problems.add(
      `${at}.memoryGib`,
      `${name} has ${beside} GiB of memory beside its reserve, and its VMs use ${used} GiB`,
    )
  }
  const seen = new Set<string>()
  for (const [index, pool] of blade.pools.entries()) {
    const key = poolKey(pool.storage, pool.name)
    if (seen.has(key))
      problems.add(`${at}.pools.${index}`, `${name} has the ${pool.storage} pool ${pool.name} twice`)
    seen.add(key)
    const taken = usedGib(pool, there)
    const all = taken + pool.reclaimableGib + (pool.freeGib ?? 0)
    // A sum of decimals is not exact; a millionth of a GiB is.
    if (all <= pool.gib + 1e-6) continue
    problems.add(
      `${at}.pools.${index}`,
      `${pool.name} of ${name} has ${pool.gib} GiB; its volumes take ${taken}, ${pool.reclaimableGib} are reclaimable, ${pool.freeGib ?? 0} free`,
    )
  }
}

function checkVm(vm: FileVm, blade: FileBlade, at: string, problems: Problems): void {
  for (const [index, volume] of vm.volumes.entries()) {
    const there = blade.pools.some(pool => pool.name === volume.pool && pool.storage === volume.storage)
    if (!there) {
      problems.add(
        `${at}.volumes.${index}.pool`,
        `${blade.name} has no ${volume.storage} pool ${volume.pool}`,
      )
    }
    if ((volume.allocatedGib ?? 0) > volume.gib) {
      problems.add(`${at}.volumes.${index}.allocatedGib`, `is more than the ${volume.gib} GiB of the volume`)
    }
  }
  for (const network of vm.networks) {
    if (blade.networks.includes(network)) continue
    problems.add(`${at}.networks`, `${vm.name} is plugged into ${network}, which ${blade.name} does not have`)
  }
}

/** Events in the order of time may only name what is there by then. */
function checkEvents(file: FleetFile, problems: Problems): void {
  const blades = new Set(file.blades.map(blade => blade.name))
  const domains = {
    chassis: new Set(file.blades.map(blade => blade.chassis)),
    feed: new Set(file.blades.flatMap(blade => blade.feeds)),
    switch: new Set(file.blades.flatMap(blade => blade.switches)),
  }
  const vms = new Set(file.vms.map(vm => vm.name))
  const inTime = [...file.events.entries()].sort(([, a], [, b]) => a.atSeconds - b.atSeconds)
  for (const [index, event] of inTime) {
    const at = `events.${index}`
    const unknown = (kind: string, name: string, known: ReadonlySet<string>) => {
      if (!known.has(name)) problems.add(`${at}.${kind}`, `there is no ${kind} ${name}`)
    }
    if (event.what === 'vm-added') {
      if (vms.has(event.vm.name)) problems.add(`${at}.vm.name`, `${event.vm.name} is there already`)
      vms.add(event.vm.name)
    } else if ('vm' in event) {
      unknown('vm', event.vm, vms)
      if (event.what === 'vm-removed') vms.delete(event.vm)
    } else if ('blade' in event) unknown('blade', event.blade, blades)
    else if ('chassis' in event) unknown('chassis', event.chassis, domains.chassis)
    else if ('feed' in event) unknown('feed', event.feed, domains.feed)
    else if ('switch' in event) unknown('switch', event.switch, domains.switch)
  }
}

/** In a real fleet a rule may name a VM that is yet to come. Here all of them are known: another name is a slip. */
function checkRules(file: FleetFile, { placement: { rules } }: ControllerConfig, problems: Problems): void {
  const blades = new Set(file.blades.map(blade => blade.name))
  const added = file.events.flatMap(event => (event.what === 'vm-added' ? event.vm.name : []))
  const vms = new Set([...file.vms.map(vm => vm.name), ...added])
  for (const [index, group] of rules.groups.entries()) {
    for (const vm of group.vms) {
      if (!vms.has(vm)) problems.add(`config.placement.rule.${index}.vms`, `there is no VM ${vm}`)
    }
  }
  for (const [index, rule] of rules.vms.entries()) {
    const at = `config.placement.vm.${index}`
    if (!vms.has(rule.vm)) problems.add(`${at}.name`, `there is no VM ${rule.vm}`)
    for (const blade of rule.blades) {
      if (!blades.has(blade)) problems.add(`${at}.blades`, `there is no blade ${blade}`)
    }
  }
}
