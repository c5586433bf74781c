import type { BladeView, FleetSnapshot } from '../../controller/fleet/snapshot.ts'
import type { PlannedMove } from '../../controller/placement/plan.ts'

/**
 * The safety rules once more, in the simplest words and without a line of the placement's own code: a second opinion
 * that shares its code with the first is none.
 */
export function brokenRules(
  before: FleetSnapshot,
  now: FleetSnapshot,
  moved: readonly PlannedMove[],
): string[] {
  const broken: string[] = []
  for (const move of moved) {
    const vm = before.vms.find(each => each.id === move.vmId)
    const blade = before.blades.find(each => each.name === move.to)
    if (vm === undefined || blade === undefined) return [`${move.vm} or ${move.to} is made up`]
    const rule6 = blade.admin === 'in-service' && blade.health === 'healthy' && blade.liveness === 'up'
    if (!rule6) broken.push(`rule 6: ${vm.name} to ${blade.name}`)
    if (move.to === vm.blade) broken.push(`${vm.name} does not leave`)
    if (vm.state !== 'running' && vm.state !== 'stopped') broken.push(`${vm.name} is ${vm.state}`)
    if (vm.operation !== '') broken.push(`${vm.name} is busy`)
    for (const network of vm.networks) {
      if (!blade.capacity?.networks.includes(network)) broken.push(`${vm.name} has no ${network}`)
    }
  }
  for (const blade of now.blades) {
    const newcomers = moved.filter(move => move.to === blade.name)
    if (newcomers.length > 0) broken.push(...overfull(blade, now, newcomers))
  }
  return broken
}

/**
 * Rule 5 on one blade that has taken VMs. What the administrator had overfilled by hand is no fault of the plan, as
 * long as no newcomer asks for more of it: memory only counts when one of them runs, a pool when one has a volume there.
 */
function overfull(blade: BladeView, now: FleetSnapshot, newcomers: readonly PlannedMove[]): string[] {
  const broken: string[] = []
  const here = now.vms.filter(vm => vm.blade === blade.name)
  const promised = blade.reservations.filter(each => !here.some(vm => vm.id === each.vmId))
  if (here.length + promised.length > blade.maxVms) broken.push(`rule 5: too many VMs on ${blade.name}`)
  const capacity = blade.capacity
  if (capacity === undefined) return [`${blade.name} never reported`]
  const memory =
    here
      .filter(vm => vm.state !== 'stopped' && vm.state !== 'crashed')
      .reduce((sum, vm) => sum + vm.memoryBytes, 0) +
    promised.reduce((sum, each) => sum + each.memoryBytes, 0)
  const runs = newcomers.some(move => move.method === 'live')
  if (runs && memory > capacity.memoryBytes - capacity.reservedMemoryBytes) {
    broken.push(`rule 5: too little memory on ${blade.name}`)
  }
  const volumes = here.filter(vm => newcomers.some(move => move.vmId === vm.id)).flatMap(vm => vm.volumes)
  for (const volume of volumes) {
    const pool = capacity.pools.find(each => each.name === volume.pool && each.storage === volume.storage)
    const taken = promised
      .flatMap(each => each.volumes)
      .filter(each => each.pool === volume.pool && each.storage === volume.storage)
      .reduce((sum, each) => sum + each.bytes, 0)
    if (pool === undefined) broken.push(`no ${volume.pool} on ${blade.name}`)
    else if (pool.freeBytes + pool.reclaimableBytes < taken) {
      broken.push(`rule 5: ${pool.name} of ${blade.name} overflows`)
    }
  }
  for (const { vm: name } of newcomers) {
    if (here.filter(vm => vm.name === name).length > 1) broken.push(`two VMs named ${name} on ${blade.name}`)
  }
  return broken
}

/**
 * The world when a move is done: the VM is at the target, its volumes took free room there, then kept volumes' room; at
 * the source they are kept, to be given up for room.
 */
export function arrived(world: FleetSnapshot, move: PlannedMove): FleetSnapshot {
  const vm = world.vms.find(each => each.id === move.vmId)
  if (vm === undefined) return world
  return {
    ...world,
    generation: world.generation + 1,
    vms: world.vms.map(each => (each.id === vm.id ? { ...each, blade: move.to } : each)),
    blades: world.blades.map(blade => {
      if (blade.capacity === undefined) return blade
      if (blade.name === vm.blade) return keeping(blade, vm)
      if (blade.name !== move.to) return blade
      const pools = blade.capacity.pools.map(pool => {
        const need = vm.volumes
          .filter(volume => volume.pool === pool.name && volume.storage === pool.storage)
          .reduce((sum, volume) => sum + volume.sizeBytes, 0)
        const fromFree = Math.min(need, pool.freeBytes)
        // Below zero where the room was not there: then the rule is broken, and overfull says so.
        return {
          ...pool,
          freeBytes: pool.freeBytes - fromFree,
          reclaimableBytes: pool.reclaimableBytes - (need - fromFree),
        }
      })
      return { ...blade, capacity: { ...blade.capacity, pools } }
    }),
  }
}

function keeping(blade: FleetSnapshot['blades'][number], vm: FleetSnapshot['vms'][number]) {
  if (blade.capacity === undefined) return blade
  const pools = blade.capacity.pools.map(pool => {
    const kept = vm.volumes
      .filter(volume => volume.pool === pool.name && volume.storage === pool.storage)
      .reduce((sum, volume) => sum + Math.min(volume.allocatedBytes, volume.sizeBytes), 0)
    return { ...pool, reclaimableBytes: pool.reclaimableBytes + kept }
  })
  return { ...blade, capacity: { ...blade.capacity, pools } }
}

/** Hard rules of groups as they stand: apart means no two in one domain, together means one blade. By name of the rule. */
export function brokenGroups(world: FleetSnapshot): string[] {
  return world.rules.groups
    .filter(group => group.hard)
    .filter(group => {
      const members = world.vms.filter(vm => group.vms.includes(vm.name))
      const places = members.map(vm =>
        placeOf(world, vm.blade, group.kind === 'apart' ? group.across : 'blade'),
      )
      const different = new Set(places).size
      return group.kind === 'apart' ? different < places.length : different > 1
    })
    .map(group => group.name)
}

function placeOf(world: FleetSnapshot, name: string, across: string): string {
  const blade = world.blades.find(each => each.name === name)
  return across === 'chassis' && blade !== undefined && blade.chassis !== ''
    ? `chassis ${blade.chassis}`
    : name
}
