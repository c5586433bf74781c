import { join } from 'node:path'
import { createNetworkVaults } from '../../agent/backup/vaults-network.ts'
import { type Agent, createAgent } from '../../agent/bootstrap.ts'
import { joinFleet } from '../../agent/join.ts'
import type { SimBlade } from '../../agent/sim/blade.ts'
import { createSimRunner } from '../../agent/sim/runner.ts'
import { type Clock, randomIds } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import { createLifeline, type Lifeline, severable } from '../fakes/severable.ts'
import { freePort } from './ports.ts'
import { createSimTransfer } from './sim-transfer.ts'

/** A real agent over a simulated blade, and the ways it comes and goes. */
export interface SimAgent {
  readonly stateDir: string
  readonly isRunning: boolean
  join(controller: string, token: string): Promise<void>
  start(): Promise<void>
  /** An orderly end. */
  stop(): Promise<void>
  /** SIGKILL: nothing it has under way comes to an end, and it tells nobody. The blade lives on. */
  kill(): Promise<void>
  /** Kills it right after the next call of that method of a seam has had its effect; resolves when it is dead. */
  killAfter(seam: Seam, method: string): Promise<void>
}

export type Seam = 'hypervisor' | 'volumes' | 'snapshots' | 'transfer'

interface Life {
  readonly agent: Agent
  readonly lifeline: Lifeline
  /** For what dies with the agent although it is no part of it: its worker processes. */
  readonly death: AbortController
}

/** Does not start it; `dir` is its state directory. */
export async function createSimAgent(options: {
  blade: SimBlade
  dir: string
  clock: Clock
  log: Logger
}): Promise<SimAgent> {
  const { blade, clock, log } = options
  const stateDir = join(options.dir, 'agent')
  const peerListen = `127.0.0.1:${await freePort()}`
  let life: Life | undefined

  const kill = async () => {
    const dying = life
    life = undefined
    if (dying === undefined) return
    dying.lifeline.cut()
    dying.death.abort()
    const closed = dying.agent.close()
    dying.lifeline.bury()
    await closed
  }

  return {
    stateDir,
    get isRunning() {
      return life !== undefined
    },
    async join(controller, token) {
      await joinFleet({ role: 'blade', controller, token, stateDir, force: false, clock })
    },
    async start() {
      const lifeline = createLifeline()
      const death = new AbortController()
      const transfer = createSimTransfer(clock, log.child('transfer'), death.signal)
      const agent = await createAgent(
        { stateDir, peerListen, peerAddress: '', reserveBytes: undefined },
        {
          hypervisor: severable('hypervisor', blade.hypervisor, lifeline),
          volumes: severable('volumes', blade.volumes, lifeline),
          snapshots: severable('snapshots', blade.snapshots, lifeline),
          transfer: severable('transfer', transfer, lifeline),
          vaults: createNetworkVaults(clock),
          hostFiles: blade.hostFiles,
          power: blade.power,
          run: createSimRunner(clock),
          socketDirectories: [],
          clock,
          ids: randomIds,
          log,
        },
      )
      life = { agent, lifeline, death }
    },
    async stop() {
      const stopping = life
      life = undefined
      await stopping?.agent.close()
    },
    kill,
    async killAfter(seam, method) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      if (life === undefined) throw new Error(`no agent runs on ${blade.name}`)
      life.lifeline.onReturn = (calledSeam, calledMethod) => {
        if (calledSeam !== seam || calledMethod !== method || life === undefined) return
        kill().then(resolve, reject)
      }
      await promise
    },
  }
}
