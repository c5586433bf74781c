import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { errorCode, formatErrorChain } from '../../shared/errors.ts'
import type { SimulationAnswer, SimulationRequest } from '../../shared/simulation.ts'

/** What `lifeboat sim fail|heal` asks for; throws when there is no such blade or fault. Returns what happened. */
export type SimulationControl = (request: SimulationRequest) => Promise<string>

/** One request per line, one answer per line; see shared/simulation.ts. */
export async function serveSimulationControl(
  path: string,
  control: SimulationControl,
): Promise<{ close(): void }> {
  const connections = new Set<Socket>()
  const server = createServer(socket => {
    connections.add(socket)
    socket.on('close', () => connections.delete(socket))
    socket.on('error', () => socket.destroy())
    createInterface(socket).on('line', line => {
      void answer(line, control).then(reply => socket.write(`${JSON.stringify(reply)}\n`))
    })
  })
  server.listen(path)
  await once(server, 'listening')
  return {
    close() {
      server.close()
      for (const socket of connections) socket.destroy()
    },
  }
}

async function answer(line: string, control: SimulationControl): Promise<SimulationAnswer> {
  try {
    return { ok: true, text: await control(JSON.parse(line) as SimulationRequest) }
  } catch (error) {
    return { ok: false, text: formatErrorChain(error), code: errorCode(error) }
  }
}
