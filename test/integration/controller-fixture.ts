import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { type Controller, type ControllerOverrides, createController } from '../../controller/bootstrap.ts'
import { type ControllerConfig, defaultControllerConfig } from '../../controller/config.ts'
import { AdminClient } from '../../proto/gen/lifeboat/v1/admin.ts'
import {
  type BackupSettings,
  EnrolmentClient,
  type FromAgent,
  type Hello,
  IntakeClient,
  type Order,
  OrderResult,
  OrderStatus,
  type ToAgent,
} from '../../proto/gen/lifeboat/v1/intake.ts'
import type { Command } from '../../proto/gen/lifeboat/v1/types.ts'
import type { BladeReport, Vm } from '../../shared/domain/fleet.ts'
import type { Fact } from '../../shared/domain/health.ts'
import { createRequest, type Identity } from '../../shared/rpc/certificates.ts'
import {
  channelOptions,
  createAnonymousChannelCredentials,
  createChannelCredentials,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { parseJoinToken } from '../../shared/rpc/join-token.ts'
import { reportToWire } from '../../shared/wire/convert.ts'
import { soundCapacity, soundFacts } from '../fakes/agent-reports.ts'
import { createRecordingLogger, formatLine } from '../fakes/recording-logger.ts'
import { until } from '../fakes/until.ts'

/** A real controller on loopback with real mTLS and a real database; only the agents are played. */
export interface ControllerFixture {
  readonly controller: Controller
  readonly admin: AdminClient
  readonly config: ControllerConfig
  readonly lines: string[]
  /** Stops and starts it on the same state, as systemd would. */
  restart(): Promise<void>
  close(): Promise<void>
}

export async function startController(
  change: (config: ControllerConfig) => ControllerConfig = config => config,
  overrides: ControllerOverrides = {},
): Promise<ControllerFixture> {
  const dir = mkdtempSync(join(tmpdir(), 'lifeboat-controller-'))
  const defaults = defaultControllerConfig()
  const config = change({
    ...defaults,
    listen: { grpc: '127.0.0.1:0', socket: join(dir, 'admin.sock') },
    stateDir: join(dir, 'state'),
    evacuation: { ...defaults.evacuation, holdMs: 0 },
  })
  const lines: string[] = []
  const log = createRecordingLogger('', line => lines.push(`${line.level} ${formatLine(line)}`))
  const connect = () => new AdminClient(`unix:${config.listen.socket}`, credentials.createInsecure())
  const fixture = {
    controller: await createController(config, { log, ...overrides }),
    admin: connect(),
    config,
    lines,
    restart: async () => {
      fixture.admin.close()
      await fixture.controller.close()
      fixture.controller = await createController(config, { log, ...overrides })
      fixture.admin = connect()
    },
    close: async () => {
      fixture.admin.close()
      await fixture.controller.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
  return fixture
}

type AdminMethod = Exclude<keyof AdminClient & `${string}`, keyof Client | 'watchOperation'>
type Asked<M extends AdminMethod> = Parameters<typeof unary<AdminClient, M>>[2]

/** One question to the admin API. */
export function ask<M extends AdminMethod>(fixture: ControllerFixture, method: M, request: Asked<M>) {
  return unary(fixture.admin, method, request, { timeoutMs: 10_000 })
}

/**
 * Enrols the blades (or takes agents that are there, after a restart), connects them, and waits until the controller
 * sees all of them up.
 */
export async function connectFleet(
  fixture: ControllerFixture,
  blades: readonly string[],
  vms: Readonly<Record<string, Vm[]>> = {},
  known: readonly PlayedAgent[] = [],
): Promise<PlayedAgent[]> {
  const agents = [...known]
  for (const name of blades) {
    const agent = new PlayedAgent(fixture, name, await enrol(fixture, name, 'chassis1'))
    agent.vms = vms[name] ?? []
    agents.push(agent)
  }
  for (const agent of agents) {
    await agent.connect()
    agent.report()
  }
  await until('every blade is up', async () => {
    const answer = await ask(fixture, 'listBlades', {})
    return answer.blades.length === agents.length && answer.blades.every(blade => blade.liveness === 'up')
  })
  return agents
}

/** `lifeboat blade add` and `lifeboat-agent join` in one. */
export async function enrol(fixture: ControllerFixture, blade: string, chassis = ''): Promise<Identity> {
  const added = await unary(
    fixture.admin,
    'addBlade',
    { name: blade, chassis, slot: 1, feeds: [], switches: [], tokenTtlMinutes: 0 },
    { timeoutMs: 5000 },
  )
  return await joinWithToken(fixture, added.token)
}

export async function joinWithToken(fixture: ControllerFixture, token: string): Promise<Identity> {
  const content = parseJoinToken(token)
  const client = new EnrolmentClient(
    fixture.controller.grpcAddress,
    createAnonymousChannelCredentials(),
    channelOptions('controller'),
  )
  try {
    const { privateKeyPem, requestPem } = await createRequest(content.blade)
    const joined = await unary(
      client,
      'join',
      { secret: content.secret, certificateRequestPem: requestPem, agentVersion: '0.1.0' },
      { timeoutMs: 5000 },
    )
    return { certificatePem: joined.certificatePem, privateKeyPem, authorityPem: joined.authorityPem }
  } finally {
    client.close()
  }
}

/** Plays an agent: answers every order at once, unless told to keep one back. */
export class PlayedAgent {
  readonly blade: string
  readonly orders: Order[] = []
  readonly settings: BackupSettings[] = []
  readonly aborted: string[] = []
  readonly seenEnds: string[] = []
  readonly acknowledgedEvents: string[] = []
  /** What becomes of an order; undefined keeps it back until `finish`. */
  answer: (order: Order) => Partial<OrderStatus> | undefined = () => ({ state: 'done' })
  vms: Vm[] = []
  facts: Fact[]
  readonly #fixture: ControllerFixture
  readonly identity: Identity
  #client: IntakeClient | undefined
  #stream: ClientDuplexStream<FromAgent, ToAgent> | undefined
  #sequence = 0
  /** How the newest session ended, as the controller put it. */
  ended = Promise.withResolvers<{ code: number; details: string }>()

  constructor(fixture: ControllerFixture, blade: string, identity: Identity) {
    this.blade = blade
    this.facts = soundFacts()
    this.#fixture = fixture
    this.identity = identity
  }

  /** Resolves with the first answer: welcome, or undefined when the stream ended. */
  async connect(hello: Partial<Hello> = {}): Promise<ToAgent | undefined> {
    this.#client?.close()
    this.#client = new IntakeClient(
      this.#fixture.controller.grpcAddress,
      createChannelCredentials(this.identity),
      channelOptions('controller'),
    )
    const stream = this.#client.session()
    this.#stream = stream
    const first = Promise.withResolvers<ToAgent | undefined>()
    const ended = Promise.withResolvers<{ code: number; details: string }>()
    this.ended = ended
    this.#sequence = 0
    stream.on('data', (message: ToAgent) => {
      first.resolve(message)
      this.#receive(message)
    })
    stream.on('status', status => {
      first.resolve(undefined)
      ended.resolve({ code: status.code, details: status.details })
    })
    stream.on('error', () => {})
    this.#write({
      $case: 'hello',
      value: {
        blade: this.blade,
        agentVersion: '0.1.0',
        protocol: 1,
        bootId: 'boot',
        orders: [],
        peerAddress: '0.0.0.0:7422',
        ...hello,
      },
    })
    return await first.promise
  }

  report(change: Partial<BladeReport> = {}): void {
    this.#sequence += 1
    const report: BladeReport = {
      sequence: this.#sequence,
      observedAt: Date.now(),
      facts: this.facts,
      vms: this.vms,
      capacity: soundCapacity(),
      complete: true,
      ...change,
    }
    this.#write({ $case: 'report', value: reportToWire(report) })
  }

  raw(message: FromAgent): void {
    this.#stream?.write(message)
  }

  finish(order: Order, status: Partial<OrderStatus>): void {
    const value = OrderStatus.fromPartial({
      orderId: order.orderId,
      generation: order.generation,
      ...(status as object),
    })
    this.#write({ $case: 'orderStatus', value })
  }

  disconnect(): void {
    this.#stream?.cancel()
    this.#client?.close()
  }

  #receive(message: ToAgent): void {
    if (message.kind?.$case === 'order') {
      const order = message.kind.value
      this.orders.push(order)
      const status = this.answer(order)
      if (status !== undefined) this.finish(order, status)
    }
    if (message.kind?.$case === 'backupSettings') this.settings.push(message.kind.value)
    if (message.kind?.$case === 'abortOrder') this.aborted.push(message.kind.value.orderId)
    if (message.kind?.$case === 'orderEndSeen') this.seenEnds.push(message.kind.value.orderId)
    if (message.kind?.$case === 'eventReceived') this.acknowledgedEvents.push(message.kind.value.id)
  }

  #write(kind: NonNullable<FromAgent['kind']>): void {
    this.#stream?.write({ kind })
  }
}

/** Makes played agents move VMs: the target has what the source sent, and both report it. */
export function actTogether(agents: readonly PlayedAgent[]): void {
  const arriving = new Map<string, Vm>()
  for (const agent of agents) {
    agent.answer = order => {
      const kind = order.kind
      const here = agent.vms.find(vm => vm.id === order.vmId)
      if (kind?.$case === 'prepareIncoming' && kind.value.vm !== undefined) {
        const wire = kind.value.vm
        const source = agents.flatMap(each => each.vms).find(vm => vm.id === wire.id)
        if (source !== undefined) arriving.set(order.vmId, source)
      }
      if ((kind?.$case === 'sendLive' || kind?.$case === 'sendCold') && here !== undefined) {
        agent.vms = agent.vms.map(vm => (vm.id === here.id ? { ...vm, state: 'stopped' } : vm))
        agent.report()
        return {
          state: 'done',
          result: { ...NO_RESULT, downtimeMs: 120, transferredBytes: 1000 },
          commands: [command('virsh', 'migrate', here.name)],
        }
      }
      if (kind?.$case === 'confirmIncoming') {
        const vm = arriving.get(order.vmId)
        if (vm !== undefined) agent.vms = [...agent.vms, { ...vm, epoch: order.epoch }]
        agent.report()
      }
      if (kind?.$case === 'releaseSource') {
        agent.vms = agent.vms.filter(vm => vm.id !== order.vmId)
        agent.report()
      }
      if (kind?.$case === 'start') setState(agent, order.vmId, 'running')
      if (kind?.$case === 'stop') setState(agent, order.vmId, 'stopped')
      return { state: 'done' }
    }
  }
}

function setState(agent: PlayedAgent, id: string, state: Vm['state']): void {
  agent.vms = agent.vms.map(vm => (vm.id === id ? { ...vm, state } : vm))
  agent.report()
}

function command(...argv: string[]): Command {
  return { argv, exitCode: 0, startedAt: 1, durationMs: 1, stderrTail: '', blade: '' }
}

const NO_RESULT = OrderResult.fromPartial({})
