import type { PowerSupplyState } from '../../shared/domain/health.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { SupplyReading } from './power.ts'

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
 * no state is asserted, not even presence: the bay is empty. Throws `bad-tool-output` for lines of another form.
 */
export function parseSupplies(text: string): SupplyReading[] {
  return text
    .split('\n')
    .filter(line => line.trim() !== '')
    .flatMap(parseSupplyLine)
}

function parseSupplyLine(line: string): SupplyReading[] {
  const [name, number, status, , ...rest] = line.split(',')
  const wellFormed = name && /^[0-9A-F]{2,4}h$/i.test(number ?? '') && /^[a-z]{2,3}$/.test(status ?? '')
  if (!wellFormed || rest.length === 0) {
    throw new LifeboatError('bad-tool-output', `ipmitool printed ${JSON.stringify(line.slice(0, 80))}`)
  }
  const said = rest.join(',').trim()
  if (NO_SUPPLY.some(pattern => pattern.test(said))) return []
  return [{ name: supplyName(name), state: stateOf(status ?? '', said) }]
}

/** A text nobody has foreseen is no state either: `unreadable` is never the same as bad (rule 9). */
function stateOf(status: string, said: string): SupplyReading['state'] {
  if (said === '' && status !== 'ns') return 'absent'
  return STATES.find(([pattern]) => pattern.test(said))?.[1] ?? 'unreadable'
}

/** `PS2 Status` → `PS2`: the sensor's name with what every sensor of the kind ends in taken off. */
const supplyName = (name: string) => name.trim().replace(/\s+status$/i, '')
