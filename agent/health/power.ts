import type { PowerSupplyState } from '../../shared/domain/health.ts'

/** The seam to the BMC. Errors: `unavailable` (no answer), `tool-missing`, `bad-tool-output`. */
export interface Power {
  /** Every power supply the BMC lists, present or not. */
  supplies(): Promise<readonly { readonly name: string; readonly state: PowerSupplyState }[]>
}
