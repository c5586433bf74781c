import type { ControllerConfig } from '../config.ts'
import type { FleetSnapshot, VmView } from '../fleet/snapshot.ts'

/** What happens to the fleet, and when: milliseconds from the start. */
export type ScenarioEvent = { readonly atMs: number } & (
  | { readonly what: BladeEvent; readonly blade: string }
  | { readonly what: `${Domain}-lost` | `${Domain}-back`; readonly domain: Domain; readonly name: string }
  | { readonly what: 'vm-added'; readonly vm: VmView }
  | { readonly what: 'vm-removed' | 'vm-stopped' | 'vm-started'; readonly vm: string }
  | { readonly what: 'automation-paused' | 'automation-resumed' }
)

export type Domain = 'chassis' | 'feed' | 'switch'

export type BladeEvent =
  | 'mirror-degraded'
  | 'mirror-failing'
  | 'mirror-repaired'
  | 'blade-dead'
  | 'blade-back'
  | 'cordoned'
  | 'uncordoned'
  | 'maintenance'
  | 'evacuate'

/** A fleet, what the controller of it is told, and what happens. */
export interface Scenario {
  /** What it is about, in one sentence; may be empty. */
  readonly story: string
  readonly fleet: FleetSnapshot
  readonly config: Pick<ControllerConfig, 'evacuation' | 'liveness' | 'power'>
  /** By time; of one moment in the order of the file. */
  readonly events: readonly ScenarioEvent[]
}
