import type { VmState } from '../../shared/domain/fleet.ts'
import { KIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'

export interface ListedDomain {
  readonly id: string
  readonly name: string
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** `virsh list --uuid --name`: a line each, id and name. Throws `bad-tool-output`. */
export function parseDomainList(text: string): readonly ListedDomain[] {
  return nonBlankLines(text).map(line => {
    const [id = '', ...rest] = line.split(' ')
    const name = rest.join(' ').trim()
    if (!UUID.test(id) || name === '')
      throw unreadable('virsh list', `'${line}' is not an id and a name`, text)
    return { id, name }
  })
}

/** `virsh list --uuid`: one id a line. Throws `bad-tool-output`. */
export function parseIdList(text: string): ReadonlySet<string> {
  const ids = nonBlankLines(text).map(line => line.trim())
  const odd = ids.find(id => !UUID.test(id))
  if (odd !== undefined) throw unreadable('virsh list', `'${odd}' is not an id`, text)
  return new Set(ids)
}

/** libvirt's own numbers (virDomainState and the reason that belongs to it). */
export interface DomainState {
  readonly state: number
  readonly reason: number
}

/** `virsh domstats --raw --state`: by VM name. Throws `bad-tool-output`. */
export function parseDomainStates(text: string): ReadonlyMap<string, DomainState> {
  const states = new Map<string, DomainState>()
  for (const block of text.split(/^Domain: '/m).slice(1)) {
    const name = block.slice(0, block.indexOf("'\n"))
    const state = wholeNumber(/^\s+state\.state=(\d+)$/m.exec(block)?.[1])
    const reason = wholeNumber(/^\s+state\.reason=(-?\d+)$/m.exec(block)?.[1])
    if (name === '' || state === undefined) {
      throw unreadable('virsh domstats', `no state for '${name}'`, block)
    }
    states.set(name, { state, reason: reason ?? 0 })
  }
  return states
}

/** VIR_DOMAIN_PAUSED_MIGRATION: libvirt itself paused it, in the last phase of a migration. */
const PAUSED_BY_MIGRATION = 2
/** VIR_DOMAIN_SHUTOFF_MIGRATED: it went off here because it is at the target. */
const SHUT_OFF_BY_MIGRATION = 4

const STATE_PAUSED = 3
const STATE_SHUTTING_DOWN = 4
const STATE_SHUT_OFF = 5
const SHUT_OFF_BY_CRASH = 3
const PAUSED_BY_CRASH = 10

/** libvirt's state in our words. `in shutdown` still executes; a guest in ACPI S3 sits in memory and does not. */
export function toVmState({ state, reason }: DomainState): VmState {
  switch (state) {
    case 1: // running
    case 2: // blocked on a resource
    case STATE_SHUTTING_DOWN:
      return 'running'
    case STATE_PAUSED:
      return reason === PAUSED_BY_CRASH ? 'crashed' : 'paused'
    case STATE_SHUT_OFF:
      return reason === SHUT_OFF_BY_CRASH ? 'crashed' : 'stopped'
    case 6: // crashed
      return 'crashed'
    case 7: // suspended by the guest's power management
      return 'paused'
    default:
      return 'unknown'
  }
}

/** Off because a migration ended well. */
export function isMigratedAway(state: DomainState): boolean {
  return state.state === STATE_SHUT_OFF && state.reason === SHUT_OFF_BY_MIGRATION
}

/** Off, and libvirt does not know why: it was restarted since. */
export function isOffForUnknownReason(state: DomainState): boolean {
  return state.state === STATE_SHUT_OFF && state.reason === 0
}

/** Paused by libvirt for a migration, not by a person. */
export function isPausedByMigration(state: DomainState): boolean {
  return state.state === STATE_PAUSED && state.reason === PAUSED_BY_MIGRATION
}

/** QEMU is on its way out: it said SHUTDOWN, at the guest's wish or because libvirt ends it, and its process is not gone yet. */
export function isEnding({ state }: DomainState): boolean {
  return state === STATE_SHUTTING_DOWN
}

/** Has a QEMU process: its live definition can differ from the one on disk. */
export function isActive({ state }: DomainState): boolean {
  return state !== STATE_SHUT_OFF && state !== 0
}

/** `virsh nodeinfo`. Throws `bad-tool-output`. */
export function parseNodeInfo(text: string): { readonly memoryBytes: number; readonly cpus: number } {
  const memoryKib = wholeNumber(/^Memory size:\s+(\d+) KiB$/m.exec(text)?.[1])
  const cpus = wholeNumber(/^CPU\(s\):\s+(\d+)$/m.exec(text)?.[1])
  if (memoryKib === undefined || cpus === undefined) {
    throw unreadable('virsh nodeinfo', 'memory or CPUs missing', text)
  }
  return { memoryBytes: memoryKib * KIB, cpus }
}

/** `virsh version` → `QEMU 10.0.2, libvirt 11.3.0`. Throws `bad-tool-output`. */
export function parseVersion(text: string): string {
  const hypervisor = /^Running hypervisor: (.+)$/m.exec(text)?.[1]
  const library = /^Using library: (.+)$/m.exec(text)?.[1]
  if (hypervisor === undefined || library === undefined)
    throw unreadable('virsh version', 'a line is missing', text)
  return `${hypervisor.trim()}, ${library.trim()}`
}

/** `virsh dominfo`: is the VM started when libvirt starts? Throws `bad-tool-output`. */
export function parseAutostart(text: string): boolean {
  const word = /^Autostart:\s+(enable|disable)/m.exec(text)?.[1]
  if (word === undefined) throw unreadable('virsh dominfo', 'no line about autostart', text)
  return word === 'enable'
}

/** `virsh net-list --name`: one name a line. */
export function parseNetworkNames(text: string): readonly string[] {
  return nonBlankLines(text).map(line => line.trim())
}

/** One line of `virsh event`; what follows the name in `detail`. */
export interface VirshEvent {
  readonly kind: string
  readonly name: string
  readonly detail: string
}

/**
 * A line of `virsh event --all --loop [--timestamp]`; undefined for anything else (the lines below a multi-line event).
 * The name may hold quotes: it ends at the last `'` that the text of its kind can follow.
 */
export function parseEventLine(line: string): VirshEvent | undefined {
  const match =
    /^(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+\+0000: )?event '([a-z0-9-]+)' for domain '(.+?)'(?::\s*(.*)| disk .*)?$/.exec(
      line,
    )
  if (match?.[1] === undefined || match[2] === undefined) return undefined
  return { kind: match[1], name: match[2], detail: match[3] ?? '' }
}

const DEVICE_EVENTS = new Set(['device-added', 'device-removed', 'disk-change', 'tray-change'])
const POWER_EVENTS = new Set(['pm-suspend', 'pm-suspend-disk', 'pm-wakeup'])

/**
 * What an event means to the inventory: nothing, a definition to be read at the next look, another state (look now), or
 * another definition (look now and read it).
 *
 * The last moments of a migration are full of events, while the guest stands still and each look would take CPU time
 * from the hand-over: block jobs ready and completed, a pause, a shutdown. `Stopped` ends them all, so it alone counts.
 */
export function eventEffect(event: VirshEvent): 'none' | 'later' | 'state' | 'definition' {
  if (DEVICE_EVENTS.has(event.kind)) return 'definition'
  if (POWER_EVENTS.has(event.kind)) return 'state'
  if (event.kind === 'block-job') return 'later'
  if (event.kind !== 'lifecycle') return 'none'
  if (/^(Defined|Undefined|Started)\b/.test(event.detail)) return 'definition'
  return /^(Suspended Migrated|Shutdown\b)/.test(event.detail) ? 'none' : 'state'
}

function nonBlankLines(text: string): readonly string[] {
  return text.split('\n').filter(line => line.trim() !== '')
}

/** undefined for what is not a whole number that JavaScript holds exactly. */
export function wholeNumber(text: string | undefined): number | undefined {
  if (text === undefined || !/^-?\d+$/.test(text)) return undefined
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : undefined
}

function unreadable(command: string, problem: string, text: string): LifeboatError {
  return new LifeboatError('bad-tool-output', `cannot read the answer of '${command}': ${problem}`, {
    details: [text.slice(0, 200)],
  })
}
