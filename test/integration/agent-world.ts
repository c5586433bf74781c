import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { createServer as createTcpServer } from 'node:net'
import { join } from 'node:path'
import type { SuiteContext, TestContext } from 'node:test'
import type { ServerDuplexStream } from '@grpc/grpc-js'
import { type Agent, createAgent } from '../../agent/bootstrap.ts'
import type { AgentSeams } from '../../agent/seams.ts'
import { writeIdentity } from '../../agent/session/identity-file.ts'
import type { SimBlade, SimVmOptions } from '../../agent/sim/blade.ts'
import { createSimRunner } from '../../agent/sim/runner.ts'
import {
  type Event,
  type FromAgent,
  type Hello,
  IntakeService,
  Order,
  type OrderStatus,
  type Report,
  type ToAgent,
} from '../../proto/gen/lifeboat/v1/intake.ts'
import { type Clock, randomIds, systemClock } from '../../shared/clock.ts'
import { isEndedOrder } from '../../shared/domain/operation.ts'
import { MIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import {
  type Authority,
  createAuthority,
  createIdentity,
  type Identity,
} from '../../shared/rpc/certificates.ts'
import {
  createServer,
  createServerCredentials,
  rpcService,
  serve,
  stopServer,
} from '../../shared/rpc/endpoint.ts'
import { createRecordingLogger, formatLine, type LoggedLine } from '../fakes/recording-logger.ts'
import { simBackupSeams } from '../fakes/sim-backups.ts'
import { createSimWorld, type SimWorld } from '../fakes/sim-world.ts'

type Stream = ServerDuplexStream<FromAgent, ToAgent>

/** A controller that decides nothing: it gives the orders a test wants, and remembers what the agents say. */
export interface ScriptedController {
  readonly address: string
  readonly reports: Map<string, Report>
  readonly events: Map<string, Event[]>
  readonly hellos: Hello[]
  /** Every status of an order, in the order it came. */
  readonly statuses: OrderStatus[]
  /** Whether ends of orders are acknowledged (default), as a controller that stored them does. */
  acknowledge: boolean
  /** Thrown at the next hellos while set. */
  refuseWith: LifeboatError | undefined
  give(blade: string, order: Partial<Order>): string
  abort(blade: string, orderId: string): void
  tell(blade: string, message: ToAgent): void
  /** Waits for the end of an order. */
  end(orderId: string): Promise<OrderStatus>
  until(condition: () => boolean): Promise<void>
  dropSessions(): void
  close(): Promise<void>
}

/** What node:test gives a hook; `passed` is not in the types of a test yet. */
type HookContext = (TestContext | SuiteContext) & { readonly passed?: boolean }

export interface AgentWorld {
  readonly sim: SimWorld
  readonly authority: Authority
  readonly controller: ScriptedController
  readonly log: string[]
  blade(name: string): Promise<SimBlade>
  /** Starts (or starts again) the agent of a blade. */
  agent(blade: SimBlade, seams?: Partial<AgentSeams>, listen?: string): Promise<Agent>
  identityOf(blade: string): Promise<Identity>
  stateDir(blade: string): string
  /** After a test: of one that failed, or waited for what never came, it tells what was logged and answered. */
  end(test: HookContext): Promise<void>
}

/** `clock`: of the blades and their agents. */
export async function createAgentWorld(clock: Clock = systemClock): Promise<AgentWorld> {
  const sim = createSimWorld(clock)
  const authority = await createAuthority(systemClock.now())
  const log: string[] = []
  const waiters = createWaiters()
  const tell = (line: LoggedLine) => {
    log.push(`${line.subsystem}: ${formatLine(line)}`)
    // Whoever waits for something may wait for a line.
    waiters.wake()
  }
  const logger = createRecordingLogger('', tell)
  const controller = await startScriptedController(authority, logger, waiters)
  const agents = new Map<string, Agent>()
  const identityOf = (name: string) =>
    createIdentity(authority, { name, role: 'blade' }, systemClock.now(), 30)
  const stateDir = (name: string) => join(sim.dir, `${name}-agent`)

  return {
    sim,
    authority,
    controller,
    log,
    identityOf,
    stateDir,
    blade: name => sim.blade(name),
    agent: async (blade, seams = {}, listen) => {
      await agents.get(blade.name)?.close()
      const dir = stateDir(blade.name)
      mkdirSync(dir, { recursive: true })
      const identity = await identityOf(blade.name)
      writeIdentity(dir, { blade: blade.name, controller: controller.address, identity })
      const agent = await createAgent(
        {
          stateDir: dir,
          peerListen: listen ?? (await listenAddress(blade.name)),
          peerAddress: '',
          reserveBytes: undefined,
        },
        {
          hypervisor: blade.hypervisor,
          volumes: blade.volumes,
          ...simBackupSeams(blade),
          hostFiles: blade.hostFiles,
          power: blade.power,
          run: createSimRunner(clock),
          socketDirectories: [],
          clock,
          ids: randomIds,
          log: createRecordingLogger(blade.name, tell),
          ...seams,
        },
      )
      agents.set(blade.name, agent)
      return agent
    },
    end: async test => {
      if (!test.passed && 'diagnostic' in test) {
        const states = controller.statuses.map(({ orderId, state, step }) => `${orderId}: ${state} ${step}`)
        test.diagnostic([...log, ...states].join('\n'))
      }
      for (const agent of agents.values()) await agent.close()
      await controller.close()
      await sim.close()
    },
  }
}

interface Waiters {
  wake(): void
  /** Looks again whenever anything was heard or logged. */
  until(condition: () => boolean): Promise<void>
}

function createWaiters(): Waiters {
  let next = Promise.withResolvers<void>()
  return {
    wake: () => {
      next.resolve()
      next = Promise.withResolvers<void>()
    },
    until: async condition => {
      while (!condition()) await next.promise
    },
  }
}

const addresses = new Map<string, string>()

/** The same port for an agent that comes back, as on a real blade: orders name the peer's address. */
async function listenAddress(blade: string): Promise<string> {
  const known = addresses.get(blade)
  if (known !== undefined) return known
  const server = createTcpServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  addresses.set(blade, `127.0.0.1:${port}`)
  return `127.0.0.1:${port}`
}

/** A running VM of one 8 MiB thick volume with some bytes in it. */
export function smallVm(id: string, name: string): SimVmOptions {
  return { id, name, memoryBytes: 64 * MIB, volumes: [{ kind: 'thick', sizeBytes: 8 * MIB }] }
}

async function startScriptedController(
  authority: Authority,
  log: Logger,
  waiters: Waiters,
): Promise<ScriptedController> {
  const streams = new Map<string, Stream>()
  const open = new Map<string, { blade: string; order: Order }>()
  const identity = await createIdentity(
    authority,
    { name: 'controller', role: 'controller' },
    systemClock.now(),
    30,
  )

  const hear = (stream: Stream, blade: string, message: FromAgent) => {
    const { kind } = message
    if (kind?.$case === 'report') controller.reports.set(blade, kind.value)
    if (kind?.$case === 'event') {
      controller.events.set(blade, [...(controller.events.get(blade) ?? []), kind.value])
      stream.write({ kind: { $case: 'eventReceived', value: { id: kind.value.id } } })
    }
    if (kind?.$case === 'orderStatus') hearStatus(stream, kind.value)
    waiters.wake()
  }
  const hearStatus = (stream: Stream, status: OrderStatus) => {
    controller.statuses.push(status)
    if (!isEndedOrder(status.state)) return
    open.delete(status.orderId)
    if (controller.acknowledge) {
      stream.write({ kind: { $case: 'orderEndSeen', value: { orderId: status.orderId } } })
    }
  }
  const greet = (stream: Stream, name: string, hello: Hello) => {
    if (controller.refuseWith !== undefined) throw controller.refuseWith
    controller.hellos.push(hello)
    streams.set(name, stream)
    stream.write({
      kind: { $case: 'welcome', value: { protocol: 1, controllerVersion: 'test', reportIntervalMs: 60_000 } },
    })
    for (const status of hello.orders) hearStatus(stream, status)
    for (const { blade, order } of open.values()) {
      if (blade === name) stream.write({ kind: { $case: 'order', value: order } })
    }
  }
  const intake = rpcService(IntakeService, {
    renewCertificate: () => {
      throw new LifeboatError('refused', 'not in this test')
    },
    session: (stream, context) =>
      new Promise<void>((resolve, reject) => {
        stream.on('data', (message: FromAgent) => {
          try {
            if (message.kind?.$case === 'hello') greet(stream, context.peer.name, message.kind.value)
            else hear(stream, context.peer.name, message)
            waiters.wake()
          } catch (error) {
            reject(error)
          }
        })
        stream.on('end', resolve)
        stream.on('error', () => resolve())
        context.signal.addEventListener('abort', () => resolve())
      }),
  })
  const server = createServer([intake], { log, authorise: () => {} })
  const address = await listenAddress('controller')
  await serve(server, [{ address, credentials: createServerCredentials(identity) }])

  const controller: ScriptedController = {
    address,
    reports: new Map(),
    events: new Map(),
    hellos: [],
    statuses: [],
    acknowledge: true,
    refuseWith: undefined,
    until: waiters.until,
    give: (blade, partial) => {
      const order = { ...Order.fromPartial({}), deadlineAt: systemClock.now() + 60_000, ...partial }
      open.set(order.orderId, { blade, order })
      streams.get(blade)?.write({ kind: { $case: 'order', value: order } })
      return order.orderId
    },
    abort: (blade, orderId) =>
      void streams.get(blade)?.write({ kind: { $case: 'abortOrder', value: { orderId } } }),
    tell: (blade, message) => void streams.get(blade)?.write(message),
    end: async orderId => {
      const ended = () =>
        controller.statuses.findLast(status => status.orderId === orderId && isEndedOrder(status.state))
      await waiters.until(() => ended() !== undefined)
      return ended() as OrderStatus
    },
    dropSessions: () => {
      for (const stream of streams.values()) stream.end()
      streams.clear()
    },
    close: async () => {
      await stopServer(server, 200, systemClock)
    },
  }
  return controller
}
