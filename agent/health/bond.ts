import type { Clock } from '../../shared/clock.ts'
import type { BondFact } from '../../shared/domain/health.ts'
import { SECOND_MS } from '../../shared/domain/units.ts'
import { errorCode } from '../../shared/errors.ts'
import { type LacpMember, parseBondMembers, parseBondMode, parseLacp } from './bond-text.ts'
import type { HostFiles } from './host-files.ts'
import type { Probe } from './probe.ts'
import { parseLine } from './sysfs-text.ts'
import { orUnreadable, unreadableFact } from './unreadable.ts'

const NET = '/sys/class/net'
/** A handful of sysfs reads, under a millisecond: 3 s keep a lost link visible well within the 15 s of an alert. */
const INTERVAL_MS = 3 * SECOND_MS

/** Reads every bond of the blade from sysfs, and the LACP partners of 802.3ad bonds from /proc/net/bonding. */
export function createBondProbe(options: { files: HostFiles; clock: Clock }): Probe {
  const { files, clock } = options
  return {
    subject: 'bond',
    intervalMs: INTERVAL_MS,
    async read() {
      const observedAt = clock.now()
      try {
        const facts = await Promise.all(
          (await bondNames(files)).map(name =>
            orUnreadable('bond', name, observedAt, () => readBond(files, name, observedAt)),
          ),
        )
        return facts.filter(fact => fact !== undefined)
      } catch (error) {
        return [unreadableFact('bond', '', observedAt, error)]
      }
    },
  }
}

/** `bonding_masters` is one read; where the host does not show it, each interface is looked at. */
async function bondNames(files: HostFiles): Promise<string[]> {
  const masters = `${NET}/bonding_masters`
  const text = await orAbsent(files.read(masters))
  if (text !== undefined) return parseBondMembers(masters, text)
  const bonds: string[] = []
  for (const name of await files.list(NET)) {
    if ((await files.list(`${NET}/${name}/bonding`)).length > 0) bonds.push(name)
  }
  return bonds
}

async function readBond(files: HostFiles, name: string, observedAt: number): Promise<BondFact> {
  const directory = `${NET}/${name}/bonding`
  const mode = parseBondMode(`${directory}/mode`, await files.read(`${directory}/mode`))
  const nics = parseBondMembers(`${directory}/slaves`, await files.read(`${directory}/slaves`))
  // Only some modes have an active member; in the others the file is empty or missing.
  const activeMember = (await orAbsent(files.read(`${directory}/active_slave`)))?.trim() ?? ''
  const lacp = mode === '802.3ad' ? await readLacp(files, name) : undefined
  const members = await Promise.all(
    nics.map(async nic => ({
      nic,
      link: await readLink(files, nic),
      speedMbps: await readSpeed(files, nic),
      partner: partnerOf(lacp, nic),
    })),
  )
  return { kind: 'bond', observedAt, name, mode, members, activeMember }
}

async function readLacp(files: HostFiles, name: string): Promise<LacpMember[]> {
  const path = `/proc/net/bonding/${name}`
  return parseLacp(path, await files.read(path))
}

function partnerOf(lacp: readonly LacpMember[] | undefined, nic: string): 'ok' | 'short' | 'none' {
  if (lacp === undefined) return 'none'
  // In sysfs but not yet in the text: it is just joining, and not bundled.
  return lacp.find(member => member.nic === nic)?.partner ?? 'short'
}

/**
 * Up only if the bond and the NIC both say so. Without miimon the bond never notices a lost carrier; with ARP
 * monitoring the carrier never notices a dead path. `going down` and `going back` are down: the bond does not use it.
 */
async function readLink(files: HostFiles, nic: string): Promise<'up' | 'down'> {
  const statusPath = `${NET}/${nic}/bonding_slave/mii_status`
  const status = await orAbsent(files.read(statusPath))
  if (status !== undefined && parseLine(statusPath, status) !== 'up') return 'down'
  const carrierPath = `${NET}/${nic}/carrier`
  const carrier = await orRefused(files.read(carrierPath))
  return carrier !== undefined && parseLine(carrierPath, carrier) === '1' ? 'up' : 'down'
}

/** Mbit/s; 0 where the driver does not tell (-1, or EINVAL while the link is down). */
async function readSpeed(files: HostFiles, nic: string): Promise<number> {
  const speed = Number((await orRefused(files.read(`${NET}/${nic}/speed`)))?.trim() ?? 0)
  return Number.isInteger(speed) && speed > 0 ? speed : 0
}

/** Undefined when the file does not exist; any other failure is one. */
async function orAbsent(reading: Promise<string>): Promise<string | undefined> {
  try {
    return await reading
  } catch (error) {
    if (errorCode(error) === 'not-found') return undefined
    throw error
  }
}

/** Undefined also where the kernel refuses to tell (EINVAL): carrier of an interface set down, speed of a dead link. */
async function orRefused(reading: Promise<string>): Promise<string | undefined> {
  try {
    return await reading
  } catch (error) {
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined
    if (cause?.code === 'EINVAL') return undefined
    throw error
  }
}
