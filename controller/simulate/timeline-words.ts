import { plural } from '../../shared/domain/units.ts'
import type { Plan, UnplacedVm } from '../placement/plan.ts'
import type { Returns } from '../placement/returns.ts'
import type { ScenarioEvent } from './scenario.ts'

/** An event of the file as a sentence without its end. */
export function describeEvent(event: ScenarioEvent): string {
  switch (event.what) {
    case 'mirror-degraded':
      return `the mirror of ${event.blade} loses a disk`
    case 'mirror-failing':
      return `the mirror of ${event.blade} has one disk left, and that one has errors`
    case 'mirror-repaired':
      return `the mirror of ${event.blade} is whole again`
    case 'blade-dead':
      return `${event.blade} dies`
    case 'blade-back':
      return `${event.blade} is back`
    case 'cordoned':
      return `${event.blade} is cordoned`
    case 'uncordoned':
      return `${event.blade} takes VMs again`
    case 'maintenance':
      return `${event.blade} is in maintenance`
    case 'evacuate':
      return `a person evacuates ${event.blade}`
    case 'vm-added':
      return `${event.vm.name} is new`
    case 'vm-removed':
      return `${event.vm} is removed`
    case 'vm-stopped':
      return `${event.vm} is stopped`
    case 'vm-started':
      return `${event.vm} is started`
    case 'automation-paused':
      return 'automation is paused'
    case 'automation-resumed':
      return 'automation goes on'
    default:
      return `${event.domain} ${event.name} is ${event.what.endsWith('-lost') ? 'lost' : 'back'}`
  }
}

/** What was decided, in one line; the moves follow it. */
export function describePlan(plan: Plan): string {
  const asides = plan.moves.filter(move => move.role === 'makes-room').length
  const parts = [
    `plan ${plan.id}: ${plan.blade} is emptied (${plan.cause}): ${plural(plan.moves.length, 'move')}`,
    ...(asides === 0
      ? []
      : [`${plural(asides, 'VM')} of them ${asides === 1 ? 'steps' : 'step'} aside first`]),
    ...(plan.unplaced.length === 0
      ? []
      : [`on ${plan.blade} stay ${plan.unplaced.map(each => each.vm).join(', ')}`]),
  ]
  return parts.join('; ')
}

/** Where the VMs of a dead blade would be, and which have no place. */
export function describeReturns(
  blade: string,
  returns: Returns['returns'],
  unplaced: readonly UnplacedVm[],
): string {
  const places = returns.map(({ vm, to }) => `${vm.name} → ${to}`)
  const without = unplaced.map(({ vm, reasons }) => `no place for ${vm} (${reasons[0]?.text ?? ''})`)
  return `from their restore points, once it is proven that ${blade} does not run them: ${[...places, ...without].join(', ')}`
}
