import type { PowerSupplyState } from '../../shared/domain/health.ts'

export interface SupplyReading {
  readonly name: string
  /** `unreadable`: the BMC lists it and gives no reading of it. */
  readonly state: PowerSupplyState | 'unreadable'
}

/** The seam to the BMC. Errors: `unavailable` (no answer), `tool-missing`, `bad-tool-output`. */
export interface Power {
  /** Every power supply the BMC lists, present or not. */
  supplies(): Promise<readonly SupplyReading[]>
}
