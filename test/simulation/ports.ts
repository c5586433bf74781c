import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'

/** Below those the kernel hands out by itself: one of them may be taken by any connection in the moment it is let go. */
const FIRST = 20_000
const COUNT = 12_000
/** Processes begin at places of their own, so that two of them do not race for the same ports. */
let next = (process.pid * 61) % COUNT

/**
 * A port of loopback that is free now. Chosen once and kept over restarts: an agent that came back on another port
 * would not be found by a move that was under way.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < COUNT; tries++) {
    const port = FIRST + next
    next = (next + 1) % COUNT
    if ((await bindOnce(port).catch(() => undefined)) !== undefined) return port
  }
  throw new Error(`no port of ${FIRST} to ${FIRST + COUNT - 1} is free`)
}

/** The first of two neighbours that are both free: by default a vault's door for agents lies one above its other. */
export async function freePortPair(): Promise<number> {
  for (;;) {
    const port = await freePort()
    if ((await freePort()) === port + 1) return port
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
