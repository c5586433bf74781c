import type { Method } from '../../shared/domain/operation.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import type { VmView } from '../fleet/snapshot.ts'
import type { Purpose } from './filters.ts'
import { type AskedCause, evacuationPolicy, type PlacementRules } from './rules.ts'

/** How a VM in that state moves; undefined when it cannot. */
export function methodOf(vm: VmView): Method | undefined {
  if (vm.state === 'running') return 'live'
  return vm.state === 'stopped' ? 'cold' : undefined
}

/** What speaks against the VM itself, whatever the blade. `operation`: the one that asks. */
export function vmObstacles(vm: VmView, purpose: Purpose, operation = ''): Reason[] {
  const reasons: Reason[] = []
  if (vm.operation !== '' && vm.operation !== operation) {
    reasons.push({ code: 'vm-busy', text: `operation ${vm.operation} works on ${vm.name}` })
  }
  // Obstacles are about moving: a VM with a passed-through device starts where it is like any other.
  if (purpose !== 'move') return reasons
  if (methodOf(vm) === undefined) reasons.push({ code: 'vm-not-running', text: stateText(vm) })
  if (!vm.persistent) {
    reasons.push({
      code: 'vm-transient',
      text: `${vm.name} has no persistent definition: \`virsh define\` it first`,
    })
  }
  // The agent may have said the same of its own accord.
  const said = new Set(reasons.map(reason => reason.code))
  return [...reasons, ...vm.obstacles.filter(obstacle => !said.has(obstacle.code))]
}

/** What the administrator wants of an evacuation for that cause, when it is that the VM does not move by it. */
export function policyReasons(rules: PlacementRules, vm: VmView, cause: AskedCause): Reason[] {
  const why = cause === 'asked' ? 'is emptied' : `is emptied for ${cause}`
  switch (evacuationPolicy(rules, vm.name, cause)) {
    case 'live':
      return []
    case 'stay':
      return [
        {
          code: 'policy-stay',
          blade: vm.blade,
          text: `${vm.name} is to stay when ${vm.blade} ${why}; \`lifeboat vm migrate ${vm.name}\` moves it all the same`,
        },
      ]
    case 'ask':
      return [
        {
          code: 'policy-ask',
          blade: vm.blade,
          text: `${vm.name} waits for a person when ${vm.blade} ${why}: \`lifeboat evacuate ${vm.blade}\` moves it`,
        },
      ]
  }
}

/** What an evacuation leaves because it is wanted so is no failure of it. */
export function isWanted(reason: Pick<Reason, 'code'>): boolean {
  return reason.code === 'policy-stay' || reason.code === 'policy-ask'
}

function stateText(vm: VmView): string {
  switch (vm.state) {
    case 'paused':
      return `${vm.name} is paused: \`lifeboat vm resume ${vm.name}\` or stop it, then it can move`
    case 'crashed':
      return `${vm.name} has crashed: look at it, then start or stop it`
    case 'lost':
      return `${vm.name} was last seen on ${vm.blade}, which does not report`
    case 'moving':
      return `${vm.name} is part of a move`
    default:
      return `the hypervisor of ${vm.blade} gives no clear state for ${vm.name}`
  }
}
