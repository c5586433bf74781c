import { LifeboatError } from '../../shared/errors.ts'
import { parseLine, unreadableText } from './sysfs-text.ts'

/** `active-backup 1` → `active-backup`. Throws `bad-tool-output`. */
export function parseBondMode(path: string, text: string): string {
  const mode = /^([a-z0-9.-]+) \d$/.exec(parseLine(path, text))?.[1]
  if (mode === undefined) throw unreadableText(path, text)
  return mode
}

/** Names in `bonding/slaves`; an empty file is a bond without members. Throws `bad-tool-output`. */
export function parseBondMembers(path: string, text: string): string[] {
  const line = text.trim()
  if (line === '') return []
  const names = parseLine(path, line).split(/\s+/)
  // Interface names hold no slash (dev_valid_name in the kernel), and these become paths.
  if (names.some(name => name.includes('/') || name === '.' || name === '..'))
    throw unreadableText(path, text)
  return names
}

export interface LacpMember {
  readonly nic: string
  readonly partner: 'ok' | 'short'
}

// Bits of a port state (IEEE 802.1AX): a partner that bundles the port is in sync, collects and distributes.
const IN_SYNC_AND_PASSING = 0b0011_1000

/**
 * /proc/net/bonding/<bond> of an 802.3ad bond (pure): is each member bundled by the switch? A port is short when it is
 * outside the active aggregator, or its partner does not answer or does not pass frames: the link is up, and half the
 * bandwidth and all of the redundancy are gone. Throws `bad-tool-output` when the text is cut off or of another shape.
 */
export function parseLacp(path: string, text: string): LacpMember[] {
  const [head = '', ...sections] = text.split(/^Slave Interface: /m)
  const activeAggregator = field(head, /^\tAggregator ID: (\d+)$/m)
  if (activeAggregator === undefined) throw cutOff(path, 'no active aggregator')
  return sections.map(section => {
    const nic = field(section, /^(\S+)$/m)
    const aggregator = field(section, /^Aggregator ID: (\d+)$/m)
    const partnerPdu = section.split(/^details partner lacp pdu:$/m)[1]
    const partnerState = partnerPdu === undefined ? undefined : field(partnerPdu, /^ +port state: (\d+)$/m)
    if (nic === undefined) throw cutOff(path, 'a member without a name')
    if (aggregator === undefined || partnerState === undefined)
      throw cutOff(path, `the part of ${nic} is not whole`)
    const passes = (Number(partnerState) & IN_SYNC_AND_PASSING) === IN_SYNC_AND_PASSING
    return { nic, partner: aggregator === activeAggregator && passes ? 'ok' : 'short' }
  })
}

const field = (text: string, pattern: RegExp): string | undefined => pattern.exec(text)?.[1]

function cutOff(path: string, what: string): LifeboatError {
  return new LifeboatError('bad-tool-output', `${path} is cut off or of an unknown form: ${what}`)
}
