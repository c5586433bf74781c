import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimBlade, type SimBlade } from '../../agent/sim/blade.ts'
import { createSimChassis, type SimChassis } from '../../agent/sim/chassis.ts'
import { type Controller, createController } from '../../controller/bootstrap.ts'
import { type AdminConnection, connect } from '../../controller/cli/connection.ts'
import { type ControllerConfig, defaultControllerConfig } from '../../controller/config.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { createRecordingLogger, type LoggedLine } from '../fakes/recording-logger.ts'
import { until } from '../fakes/until.ts'
import { createSimAgent, type SimAgent } from './sim-agent.ts'
import { createSimVault, type SimVault } from './sim-vault.ts'

export interface SimFleetOptions {
  readonly blades: number
  /** Default: the real one. */
  readonly clock?: Clock
  /** Changes to the default configuration. */
  readonly configure?: (config: ControllerConfig) => ControllerConfig
  /** Also a vault, `depot`, that has joined. Default false. */
  readonly vault?: boolean
  /** Every line that is logged; `who` is `controller`, or the name of a blade or vault. */
  readonly onLine?: (who: string, line: LoggedLine) => void
}

/** The real controller, real agents over simulated blades of one chassis, and a real vault: one process, loopback. */
export interface SimFleet {
  readonly dir: string
  readonly adminSocket: string
  /** host:port of the controller for agents. */
  readonly controllerAddress: string
  readonly chassis: SimChassis
  readonly clock: Clock
  readonly bladeNames: readonly string[]
  /** Outlives restarts of the controller. */
  readonly admin: AdminConnection
  /** Throws `not-found`. */
  blade(name: string): SimBlade
  agent(name: string): SimAgent
  /** Throws `not-found` for a fleet without one. */
  vault(): SimVault
  startController(): Promise<void>
  stopController(): Promise<void>
  /** Every blade is joined, up and healthy, and every VM is known to the controller. */
  settled(): Promise<void>
  close(): Promise<void>
}

interface Seat {
  readonly blade: SimBlade
  readonly agent: SimAgent
}

export function bladeName(number: number): string {
  return `blade${String(number).padStart(2, '0')}`
}

function configOf(dir: string, options: SimFleetOptions, grpc: string): ControllerConfig {
  const config = defaultControllerConfig()
  const listen = { grpc, socket: join(dir, 'controller.sock') }
  return (options.configure ?? (same => same))({ ...config, listen, stateDir: join(dir, 'controller') })
}

/** Brings everything up to the point where each blade has joined and its agent runs. */
export async function createSimFleet(options: SimFleetOptions): Promise<SimFleet> {
  const clock = options.clock ?? systemClock
  // Short: UNIX sockets lie below it.
  const dir = mkdtempSync(join(tmpdir(), 'lb-'))
  const chassis = createSimChassis({ name: 'chassis1' })
  const seats = new Map<string, Seat>()
  const logFor = (who: string) => createRecordingLogger('', line => options.onLine?.(who, line))
  let depot: SimVault | undefined
  let controller: Controller | undefined
  let controllerAddress = '127.0.0.1:0'

  const startController = async () => {
    // The port of the first start is kept: agents dial the address they joined by.
    const config = configOf(dir, options, controllerAddress)
    controller = await createController(config, { clock, log: logFor('controller') })
    controllerAddress = controller.grpcAddress
  }
  const stopController = async () => {
    const stopping = controller
    controller = undefined
    await stopping?.close()
  }
  const seatOf = (name: string): Seat => {
    const seat = seats.get(name)
    if (seat === undefined) {
      throw new LifeboatError('not-found', `no blade ${name}; there are ${[...seats.keys()].join(', ')}`)
    }
    return seat
  }
  const adminSocket = join(dir, 'controller.sock')
  const admin = connect({
    label: 'the simulated controller',
    address: `unix:${adminSocket}`,
    identityDirectory: undefined,
  })
  const close = async () => {
    admin.close()
    await Promise.all([...seats.values()].map(({ agent }) => agent.stop()))
    await depot?.stop()
    await stopController()
    for (const { blade } of seats.values()) await blade.close()
    rmSync(dir, { recursive: true, force: true })
  }

  const addVault = async () => {
    const vault = await createSimVault({
      name: 'depot',
      dir: join(dir, 'depot'),
      clock,
      log: logFor('depot'),
    })
    depot = vault
    const place = { name: vault.name, address: vault.address, tokenTtlMinutes: 0, replace: false }
    await vault.join(controllerAddress, (await admin.ask('addVault', place)).token)
    await vault.start()
  }

  try {
    await startController()
    if (options.vault) await addVault()
    for (let number = 1; number <= options.blades; number += 1) {
      const name = bladeName(number)
      const bladeDir = join(dir, name)
      mkdirSync(bladeDir)
      const blade = await createSimBlade({ name, dir: bladeDir, clock, chassis })
      const agent = await createSimAgent({ blade, dir: bladeDir, clock, log: logFor(name) })
      seats.set(name, { blade, agent })
      const place = { chassis: chassis.name, slot: number, feeds: ['A', 'B'], switches: ['A', 'B'] }
      const { token } = await admin.ask('addBlade', { name, ...place, tokenTtlMinutes: 0 })
      await agent.join(controllerAddress, token)
      await agent.start()
    }
  } catch (error) {
    await close()
    throw error
  }

  const isSettled = async () => {
    const { blades } = await admin.ask('listBlades', {})
    if (!blades.every(blade => blade.liveness === 'up' && blade.health === 'healthy')) return false
    const { vms } = await admin.ask('listVms', { blade: '' })
    const there = await Promise.all([...seats.values()].map(({ blade }) => blade.hypervisor.list()))
    return vms.length === there.flat().length
  }

  return {
    dir,
    adminSocket,
    get controllerAddress() {
      return controllerAddress
    },
    chassis,
    clock,
    bladeNames: [...seats.keys()],
    admin,
    blade: name => seatOf(name).blade,
    agent: name => seatOf(name).agent,
    vault: () => {
      if (depot === undefined) throw new LifeboatError('not-found', 'this fleet has no vault')
      return depot
    },
    startController,
    stopController,
    settled: async () => {
      await until('every blade is up and healthy and every VM is known', isSettled)
    },
    close,
  }
}
