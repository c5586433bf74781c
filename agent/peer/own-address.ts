import { createSocket } from 'node:dgram'

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
