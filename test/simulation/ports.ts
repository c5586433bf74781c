import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/**
 * A port of loopback that is free now. Chosen once and kept over restarts: an agent that came back on another port
 * would not be found by a move that was under way.
 */
export async function freePort(): Promise<number> {
  return await bindOnce(0)
}

/** The first of two neighbours that are both free: by default a vault's door for agents lies one above its other. */
export async function freePortPair(): Promise<number> {
  for (;;) {
    const port = await freePort()
    const above = await bindOnce(port + 1).catch(() => undefined)
    if (above !== undefined) return port
  }
}

async function bindOnce(wanted: number): Promise<number> {
  const server = createServer()
  server.listen(wanted, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
