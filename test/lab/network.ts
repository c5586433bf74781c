import { existsSync } from 'node:fs'
import { type Host, NAMESPACE, OPERATOR_NUMBER, tapName } from './hosts.ts'
import { must, run } from './run.ts'

const SWITCH_OF = { a: 'swA', b: 'swB', o: 'oob' } as const

/** Makes the lab's namespace with its two switches, the trunk between them and the out-of-band net. */
export async function ensureNetwork(): Promise<void> {
  if (existsSync(`/run/netns/${NAMESPACE}`)) return
  await must(['ip', 'netns', 'add', NAMESPACE])
  await ip('link', 'set', 'lo', 'up')
  for (const bridge of Object.values(SWITCH_OF)) {
    await ip('link', 'add', bridge, 'type', 'bridge')
    await ip('link', 'set', bridge, 'up')
  }
  await ip('link', 'add', 'trunkA', 'type', 'veth', 'peer', 'name', 'trunkB')
  await ip('link', 'set', 'trunkA', 'master', 'swA', 'up')
  await ip('link', 'set', 'trunkB', 'master', 'swB', 'up')
  await ip('addr', 'add', `10.77.0.${OPERATOR_NUMBER}/24`, 'dev', 'swA')
  await ip('addr', 'add', `10.77.1.${OPERATOR_NUMBER}/24`, 'dev', 'oob')
}

/** Plugs a host's three NICs in. A tap outlives the host's process, so a second boot finds it there. */
export async function plugIn(host: Host): Promise<void> {
  for (const plug of ['a', 'b', 'o'] as const) {
    const tap = tapName(host, plug)
    if ((await run(['ip', '-n', NAMESPACE, 'link', 'show', tap])).code !== 0) {
      await ip('tuntap', 'add', tap, 'mode', 'tap')
    }
    await ip('link', 'set', tap, 'master', SWITCH_OF[plug], 'up')
  }
}

/**
 * Cuts a host off from both switches without a word to either side, and joins it again; out of band it stays reachable.
 * Its cables are pulled from the switches: a tap set down may stay deaf until the host opens it anew.
 */
export async function setCutOff(host: Host, isCutOff: boolean): Promise<void> {
  for (const plug of ['a', 'b'] as const) {
    const where = isCutOff ? ['nomaster'] : ['master', SWITCH_OF[plug]]
    await ip('link', 'set', tapName(host, plug), ...where)
  }
}

/** Removes the namespace; bridges, taps and addresses go with it. */
export async function removeNetwork(): Promise<void> {
  if (existsSync(`/run/netns/${NAMESPACE}`)) await must(['ip', 'netns', 'del', NAMESPACE])
}

/** Pids of everything that still runs in the namespace. */
export async function processesInNetwork(): Promise<number[]> {
  if (!existsSync(`/run/netns/${NAMESPACE}`)) return []
  return (await must(['ip', 'netns', 'pids', NAMESPACE])).split('\n').filter(Boolean).map(Number)
}

/** `ip` inside the lab's namespace. */
export function ip(...args: string[]): Promise<string> {
  return must(['ip', '-n', NAMESPACE, ...args])
}
