import { LabError } from './errors.ts'

/** The namespace that holds the whole lab; everything that runs in it is the lab's. */
export const NAMESPACE = 'lifeboat-lab'

/** Where the operator sits: an address in the namespace itself, on switch A and out of band. */
export const OPERATOR_NUMBER = 254

/** The management controller of the chassis, reached out of band. */
export const CHASSIS_BMC_ADDRESS = '10.77.1.100'

export type Role = 'blade' | 'depot'

/** One lab machine. `number` is the last byte of its addresses. */
export interface Host {
  readonly name: string
  readonly role: Role
  readonly number: number
  readonly memoryMiB: number
  readonly address: string
  readonly oobAddress: string
}

/** The controller's host. */
export const DEPOT: Host = makeHost('depot', 'depot', 250, 768)

/** The blades of a lab of `count`: blade01 … blade09. */
export function bladesOf(count: number): Host[] {
  return Array.from({ length: count }, (_, i) => makeHost(`blade0${i + 1}`, 'blade', i + 1, 1536))
}

/** All machines of a lab of `count` blades, the depot last. */
export function hostsOf(count: number): Host[] {
  return [...bladesOf(count), DEPOT]
}

/** The host of that name in a lab of `count` blades. */
export function hostNamed(name: string, count: number): Host {
  const hosts = hostsOf(count)
  const host = hosts.find(candidate => candidate.name === name)
  if (host === undefined)
    throw new LabError(`no host ${name} in this lab: ${hosts.map(h => h.name).join(', ')}`)
  return host
}

/** The tap of a host's NIC, named for the switch it is plugged into. */
export function tapName(host: Host, plug: 'a' | 'b' | 'o'): string {
  return `${host.name}-${plug}`
}

/** The hardware address of a host's NIC. */
export function macOf(host: Host, plug: 'a' | 'b' | 'o'): string {
  const byte = host.number.toString(16).padStart(2, '0')
  return `52:54:00:77:0${{ a: 'a', b: 'b', o: 'c' }[plug]}:${byte}`
}

function makeHost(name: string, role: Role, number: number, memoryMiB: number): Host {
  return { name, role, number, memoryMiB, address: `10.77.0.${number}`, oobAddress: `10.77.1.${number}` }
}
