import type { Report } from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Clock } from '../../shared/clock.ts'
import type { BladeReport } from '../../shared/domain/fleet.ts'
import type { Fact } from '../../shared/domain/health.ts'
import { reportToWire } from '../../shared/wire/convert.ts'
import type { InventoryState } from '../inventory/inventory.ts'
import { substanceOfReport } from './substance.ts'

export interface Reporter {
  /** A report of this moment; undefined until the hypervisor has answered once. */
  report(): Report | undefined
  /** Something may have changed: tells `onChange` if it did, in substance. */
  look(): void
}

/** Joins inventory and facts. The newest is all there is: nothing is stored. */
export function createReporter(options: {
  readonly clock: Clock
  readonly inventory: () => InventoryState | undefined
  readonly facts: () => readonly Fact[]
  readonly onChange: () => void
}): Reporter {
  const { clock } = options
  // Above every number of an earlier process of this agent, so that the controller never takes us for a late echo.
  let sequence = clock.now()
  let told = ''

  function read(): BladeReport | undefined {
    const state = options.inventory()
    if (state === undefined) return undefined
    sequence = Math.max(sequence + 1, clock.now())
    return { sequence, observedAt: clock.now(), facts: options.facts(), ...state }
  }

  return {
    report: () => {
      const report = read()
      return report === undefined ? undefined : reportToWire(report)
    },
    look: () => {
      const report = read()
      if (report === undefined) return
      const substance = substanceOfReport(report)
      if (substance === told) return
      told = substance
      options.onChange()
    },
  }
}
