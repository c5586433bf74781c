import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/**
 * A port of loopback that is free now. Chosen once and kept over restarts: an agent that came back on another port
 * would not be found by a move that was under way.
 */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
