import type { PowerSupplyState } from '../../shared/domain/health.ts'
import { LifeboatError } from '../../shared/errors.ts'

export interface Supply {
  readonly name: string
  readonly state: PowerSupplyState
}

/**
 * What ipmitool says of a power supply (IPMI 2.0 table 42-3, sensor type 08h), worst first: the first that is part of
 * the text decides. "AC out-of-range, but present" holds a comma, so the text is searched, not split.
 */
const STATES: readonly (readonly [RegExp, PowerSupplyState])[] = [
  [/failure detected/i, 'failed'],
  [/config error/i, 'failed'],
  [/(ac|input) lost/i, 'ac-lost'],
  [/out-of-range/i, 'ac-lost'],
  [/predictive failure/i, 'predictive-failure'],
  [/presence detected|power supply inactive|device present/i, 'ok'],
  [/device absent|^disabled$/i, 'absent'],
]

/** Redundancy of the supplies together, and measured values: listed under the same type, but no supply. */
const NO_SUPPLY = [/redundan/i, /^-?\d+(\.\d+)? (watts|amps|volts|percent|degrees)[^,]*$/i]

/**
 * `ipmitool -c sdr type 'Power Supply'` (pure): `name,number,status,entity,text`. The status column says whether there
 * is a reading (`ns`: none), never whether the supply is well: only the text does. An empty text with a reading means
 * no state is asserted, not even presence: the bay is empty.
 *
 * All supplies or none: with one left out of the list it would look lost, and unreadable is not lost (rule 9).
 * Errors: `bad-tool-output` for lines of another form, `unavailable` when a supply has no reading or an unknown one.
 */
export function parseSupplies(text: string): Supply[] {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .flatMap(parseSupplyLine)
}

function parseSupplyLine(line: string): Supply[] {
  const [name, number, status, , ...rest] = line.split(',')
  const wellFormed = name && /^[0-9A-F]{2,4}h$/i.test(number ?? '') && /^[a-z]{2,3}$/.test(status ?? '')
  if (!wellFormed || rest.length === 0) {
    throw new LifeboatError('bad-tool-output', `ipmitool printed ${JSON.stringify(line.slice(0, 80))}`)
  }
  const said = rest.join(',').trim()
  if (NO_SUPPLY.some(pattern => pattern.test(said))) return []
  const state =
    said === '' && status !== 'ns' ? 'absent' : STATES.find(([pattern]) => pattern.test(said))?.[1]
  if (state === undefined) {
    throw new LifeboatError(
      'unavailable',
      `the BMC gives no reading of ${supplyName(name)} (${said || status})`,
    )
  }
  return [{ name: supplyName(name), state }]
}

/** `PS2 Status` → `PS2`: the sensor's name with what every sensor of the kind ends in taken off. */
const supplyName = (name: string) => name.trim().replace(/\s+status$/i, '')
