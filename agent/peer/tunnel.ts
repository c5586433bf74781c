import type { Server, Socket } from 'node:net'
import { formatErrorChain } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { MigrationSockets } from '../hypervisor/hypervisor.ts'
import type { PeerAddress, PeerClient } from './client.ts'
import { listenAt, MIGRATION_CHANNELS, unlinkSockets } from './sockets.ts'
import { joinStreams } from './streams.ts'

/** The source's end of a live move: UNIX sockets for the hypervisor, each connection a channel to the target. */
export interface Tunnels {
  /** Ends all connections and removes the sockets. */
  close(): Promise<void>
}

export interface TunnelOptions {
  readonly sockets: MigrationSockets
  readonly peer: PeerAddress
  readonly moveId: string
  readonly vmId: string
  readonly peers: PeerClient
  readonly log: Logger
}

/** Listens at all three sockets, whose directories are there. Nothing is journaled: an interrupted attempt begins again with new tunnels. */
export async function openTunnels(options: TunnelOptions): Promise<Tunnels> {
  const { sockets, peer, moveId, vmId, peers, log } = options
  const closing = new AbortController()
  const servers: Server[] = []
  const inbound = new Set<Socket>()

  async function carry(channel: (typeof MIGRATION_CHANNELS)[number], local: Socket): Promise<void> {
    inbound.add(local)
    local.on('error', () => {})
    try {
      const remote = await peers.open(peer, { channel, moveId, vmId }, closing.signal)
      closing.signal.addEventListener('abort', () => remote.destroy(), { once: true })
      await joinStreams(local, remote)
    } catch (error) {
      local.destroy()
      // The hypervisor notices the lost connection and fails the migration; this line says why.
      if (!closing.signal.aborted) {
        log.warn(`move ${moveId}: channel ${channel} to ${peer.blade} broke`, {
          error: formatErrorChain(error),
        })
      }
    } finally {
      inbound.delete(local)
    }
  }

  async function close(): Promise<void> {
    closing.abort()
    for (const socket of inbound) socket.destroy()
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
    await unlinkSockets(MIGRATION_CHANNELS.map(channel => sockets[channel]))
  }

  try {
    for (const channel of MIGRATION_CHANNELS) {
      servers.push(await listenAt(sockets[channel], local => void carry(channel, local)))
    }
  } catch (error) {
    await close()
    throw error
  }
  return { close }
}
