import { LifeboatError } from '../../shared/errors.ts'
import type { Power, SupplyReading } from '../health/power.ts'
import { createExecutionLedger, type ExecutionLedger } from './ledger.ts'

export type SimSupplyState = SupplyReading['state']

/** What simulated blades share: the power supplies, and the witness of who runs what. */
export interface SimChassis {
  readonly name: string
  readonly ledger: ExecutionLedger
  /** Every blade's BMC sees the same supplies. */
  readonly power: Power
  setSupply(supply: string, state: SimSupplyState): void
}

/** A chassis with `supplies` power supplies, all ok: `PS1`, `PS2`… */
export function createSimChassis(options: { name: string; supplies?: number }): SimChassis {
  const supplies = new Map<string, SimSupplyState>()
  for (let number = 1; number <= (options.supplies ?? 4); number += 1) supplies.set(`PS${number}`, 'ok')

  const power: Power = {
    async supplies() {
      return [...supplies].map(([name, state]) => ({ name, state }))
    },
  }

  return {
    name: options.name,
    ledger: createExecutionLedger(),
    power,
    setSupply(supply, state) {
      if (!supplies.has(supply)) {
        throw new LifeboatError(
          'not-found',
          `${options.name} has no power supply ${supply}; it has ${[...supplies.keys()].join(', ')}`,
        )
      }
      supplies.set(supply, state)
    },
  }
}
