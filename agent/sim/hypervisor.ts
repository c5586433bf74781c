import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import type { Vm } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { DefinitionChanges, Hypervisor } from '../hypervisor/hypervisor.ts'
import { formatDefinition, parseDefinition, type SimDefinition } from './definition-text.ts'
import { createDepartures } from './departures.ts'
import type { SimDisks } from './disks.ts'
import type { SimKnobs } from './knobs.ts'
import type { MigrationTarget } from './migration-target.ts'
import type { SimVm, VmTable } from './vm-table.ts'

export interface SimHypervisorOptions {
  readonly table: VmTable
  readonly disks: SimDisks
  readonly clock: Clock
  readonly knobs: SimKnobs
  readonly target: MigrationTarget
  readonly socketDirectory: string
  readonly memoryBytes: number
  readonly cpus: number
  readonly networks: readonly string[]
}

/** Socket of the blade's own hypervisor, where migrations come in. */
export const CONTROL_SOCKET = 'hypervisor'

/** Storage, pool and sizes are placeholders: the agent's inventory fills them in from Volumes. */
function toVm(vm: SimVm): Vm {
  const { id, name, memoryBytes, vcpus, volumes, networks, obstacles, machine, cpuModel } = vm.definition
  return {
    id,
    name,
    state: vm.state,
    memoryBytes,
    vcpus,
    volumes: volumes.map(({ target, path, format }) => ({
      target,
      path,
      format,
      storage: path.startsWith('/dev/') ? 'thick' : 'file',
      pool: '',
      sizeBytes: 0,
      allocatedBytes: 0,
    })),
    networks,
    obstacles,
    machine,
    cpuModel,
    persistent: vm.persistent,
    epoch: 0,
    incoming: false,
  }
}

/** As adapt-definition.ts does it with libvirt's XML. A simulated VM has no MAC addresses to make anew. */
function adaptSimDefinition(definition: SimDefinition, changes: DefinitionChanges): SimDefinition {
  const { id, name, disks, isolated } = changes
  const volumes = definition.volumes.map(volume => {
    const path = disks.get(volume.target)?.path
    if (path === undefined) {
      throw new LifeboatError(
        'bad-input',
        `the definition has a disk ${volume.target} for which there is no volume`,
      )
    }
    return { ...volume, path }
  })
  return { ...definition, id, name, volumes, restored: true, ...(isolated ? { networks: [], isolated } : {}) }
}

/** UNIX socket paths end at 107 bytes, VM names at 200: the name goes in as a hash. */
function socketNames(vmName: string, moveId: string) {
  const tag = createHash('sha256').update(`${moveId}/${vmName}`).digest('hex').slice(0, 12)
  return { control: `${tag}.c`, memory: `${tag}.m`, disk: `${tag}.d` }
}

/** The simulated hypervisor of one blade; `../hypervisor/hypervisor.ts` is its contract. */
export function createSimHypervisor(options: SimHypervisorOptions): Hypervisor {
  const { table, target, socketDirectory } = options
  const departures = createDepartures(options)
  const announce = (run: CommandRunner, ...argv: string[]) => run.run(argv, { timeoutMs: 10_000 })

  return {
    list: async () => table.all().map(toVm),
    capacity: async () => ({
      memoryBytes: options.memoryBytes,
      cpus: options.cpus,
      networks: options.networks,
      hypervisor: 'lifeboat simulation 1',
      cpuModels: ['sim-v1'],
    }),
    watch: onChange => table.watch(onChange),
    async start(id, run) {
      const vm = table.get(id)
      if (vm.state === 'running') return
      // libvirt's `start` finds a paused domain active and fails; whoever means `resume` shall say so.
      if (vm.state === 'paused')
        throw new LifeboatError('refused', `${vm.definition.name} is paused: resume it`)
      await announce(run, 'sim-virsh', 'start', vm.definition.name)
      table.boot(id)
    },
    async stop(id, force, _timeoutMs, run) {
      const vm = table.get(id)
      if (vm.state === 'stopped') return
      await announce(run, 'sim-virsh', force ? 'destroy' : 'shutdown', vm.definition.name)
      await departures.cancel(id)
      if (table.find(id) !== undefined) table.halt(id, 'stopped')
    },
    async pause(id, run) {
      const vm = table.get(id)
      if (vm.state === 'paused') return
      if (vm.state === 'stopped') throw new LifeboatError('refused', `${vm.definition.name} is not running`)
      await announce(run, 'sim-virsh', 'suspend', vm.definition.name)
      table.halt(id, 'paused')
    },
    async resume(id, run) {
      const vm = table.get(id)
      if (vm.state === 'running') return
      if (vm.state === 'stopped') throw new LifeboatError('refused', `${vm.definition.name} is not running`)
      await announce(run, 'sim-virsh', 'resume', vm.definition.name)
      table.thaw(id)
    },
    state: async id => table.find(id)?.state ?? 'absent',
    definition: async id => formatDefinition(table.get(id).definition),
    async define(text, run) {
      const definition = parseDefinition(text)
      const known = table.find(definition.id)
      await announce(run, 'sim-virsh', 'define', definition.name)
      if (known !== undefined) table.put({ ...known, definition, persistent: true })
      else {
        const rest = {
          state: 'stopped',
          autostart: false,
          incoming: false,
          count: 0,
          runningSince: 0,
        } as const
        table.put({ definition, persistent: true, ...rest })
      }
    },
    async undefine(id, run) {
      const vm = table.find(id)
      if (vm === undefined) return
      if (vm.state !== 'stopped') throw new LifeboatError('refused', `${vm.definition.name} is ${vm.state}`)
      await announce(run, 'sim-virsh', 'undefine', vm.definition.name)
      table.remove(id)
    },
    adaptDefinition: (text, changes) => formatDefinition(adaptSimDefinition(parseDefinition(text), changes)),
    async signsOfLife(id) {
      const vm = table.get(id)
      const steps = vm.runningSince === 0 ? 0 : table.count(vm) - vm.count
      return {
        agent: options.knobs.guestsAnswer && vm.state === 'running',
        consoleBytes: vm.definition.isolated === true && options.knobs.guestsBoot ? steps : 0,
      }
    },
    async erase(id, run) {
      const vm = table.find(id)
      if (vm === undefined) return
      if (vm.state !== 'stopped') throw new LifeboatError('refused', `${vm.definition.name} is ${vm.state}`)
      await announce(run, 'sim-virsh', 'undefine', '--nvram', vm.definition.name)
      table.remove(id)
    },
    autostart: async id => table.get(id).autostart,
    async setAutostart(id, on, run) {
      const vm = table.get(id)
      await announce(run, 'sim-virsh', 'autostart', ...(on ? [] : ['--disable']), vm.definition.name)
      table.put({ ...vm, autostart: on })
    },
    async destroyIncoming(id, run) {
      await target.drop(id)
      const vm = table.find(id)
      if (vm === undefined) return
      if (vm.state === 'running') throw new LifeboatError('refused', `${vm.definition.name} runs here`)
      if (!vm.incoming) return
      await announce(run, 'sim-virsh', 'destroy', vm.definition.name)
      table.remove(id)
    },
    async migrate(id, sockets, migrateOptions) {
      const vm = table.get(id)
      if (vm.state !== 'running') throw new LifeboatError('refused', `${vm.definition.name} does not run`)
      await announce(
        migrateOptions.run,
        'sim-virsh',
        'migrate',
        '--live',
        '--suspend',
        '--persistent',
        vm.definition.name,
      )
      return departures.begin(vm, sockets, migrateOptions)
    },
    isMigrating: async id => departures.isUnderWay(id),
    async cancelMigration(id, run) {
      if (!departures.isUnderWay(id)) return
      await announce(run, 'sim-virsh', 'domjobabort', id)
      await departures.cancel(id)
    },
    incomingSockets(vmName, moveId) {
      const names = socketNames(vmName, moveId)
      return {
        control: join(socketDirectory, CONTROL_SOCKET),
        memory: join(socketDirectory, names.memory),
        disk: join(socketDirectory, names.disk),
      }
    },
    outgoingSockets(vmName, moveId) {
      const names = socketNames(vmName, moveId)
      return {
        control: join(socketDirectory, names.control),
        memory: join(socketDirectory, names.memory),
        disk: join(socketDirectory, names.disk),
      }
    },
  }
}
