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
