import { createSocket } from 'node:dgram'
import { LifeboatError } from '../../shared/errors.ts'

/** `10.0.0.3:7422` or `[fd00::3]:7422`. Throws `bad-input`. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 0 && port <= 65535)) {
    throw new LifeboatError('bad-input', `'${address}' is not an address of the form host:port`)
  }
  return { host, port }
}

/** Brackets around IPv6. */
export function joinAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/**
 * Which of our own addresses the kernel would use to reach that host: the one other blades can most likely reach us
 * at. Connecting a datagram socket only looks up the route, nothing is sent. Undefined when there is no route.
 */
export async function ownAddressTowards(host: string, port: number): Promise<string | undefined> {
  for (const type of ['udp4', 'udp6'] as const) {
    const socket = createSocket(type)
    try {
      return await new Promise<string>((resolve, reject) => {
        socket.once('error', reject)
        socket.connect(port === 0 ? 9 : port, host, () => resolve(socket.address().address))
      })
    } catch {
      // The other family may have a route.
    } finally {
      socket.close()
    }
  }
  return undefined
}
