import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { createConnection, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import type { MigrationSockets } from '../../agent/hypervisor/hypervisor.ts'

export interface UnixTunnel {
  /** Breaks every connection, and takes no new one. */
  cut(): void
  close(): Promise<void>
}

/** What the two agents do between hypervisors, without the network: outgoing sockets of one led to incoming of the other. */
export async function createUnixTunnel(
  outgoing: MigrationSockets,
  incoming: MigrationSockets,
): Promise<UnixTunnel> {
  const sockets = new Set<Socket>()
  const track = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const servers = await Promise.all(
    (['control', 'memory', 'disk'] as const).map(async channel => {
      await rm(outgoing[channel], { force: true })
      const server = createServer({ allowHalfOpen: true }, near => {
        const far = track(createConnection({ path: incoming[channel], allowHalfOpen: true }))
        pipeline(track(near), far, near, () => {
          near.destroy()
          far.destroy()
        })
      })
      server.listen(outgoing[channel])
      await once(server, 'listening')
      return server
    }),
  )
  const cut = () => {
    for (const server of servers) server.close()
    for (const socket of sockets) socket.destroy()
  }
  return {
    cut,
    async close() {
      cut()
      await Promise.all(Object.values(outgoing).map(path => rm(path, { force: true })))
    },
  }
}
