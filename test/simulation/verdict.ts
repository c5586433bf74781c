import type { SimFleet } from './fleet.ts'

/**
 * Everything that is not as it should be, in words: `expected` is the blade each VM must run on, by its id. Asked of the
 * simulated hypervisors themselves, not of Lifeboat; then Lifeboat must say the same.
 */
export async function judge(fleet: SimFleet, expected: ReadonlyMap<string, string>): Promise<string[]> {
  const problems = [...fleet.chassis.ledger.violations()]
  const placed = new Map<string, string[]>()
  for (const name of fleet.bladeNames) {
    for (const vm of await fleet.blade(name).hypervisor.list()) {
      placed.set(vm.id, [...(placed.get(vm.id) ?? []), name])
      if (vm.state !== 'running') problems.push(`${vm.name} is ${vm.state} on ${name}`)
    }
  }
  for (const [id, blade] of expected) {
    const there = placed.get(id) ?? []
    if (there.length !== 1 || there[0] !== blade) {
      problems.push(`${id} should be on ${blade}, is on ${there.join(' and ') || 'none'}`)
    }
    const executing = fleet.chassis.ledger.executingOn(id)
    if (executing.length !== 1 || executing[0] !== blade) {
      problems.push(`${id} should run on ${blade}, runs on ${executing.join(' and ') || 'none'}`)
    }
  }
  const { vms } = await fleet.admin.ask('listVms', { blade: '' })
  for (const vm of vms) {
    const blade = expected.get(vm.id)
    if (vm.blade !== blade || vm.state !== 'running') {
      problems.push(`Lifeboat lists ${vm.name} as ${vm.state} on ${vm.blade}, it runs on ${blade}`)
    }
  }
  if (vms.length !== expected.size) problems.push(`Lifeboat lists ${vms.length} VMs of ${expected.size}`)
  return problems
}
