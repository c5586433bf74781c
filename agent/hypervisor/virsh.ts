import type { Clock } from '../../shared/clock.ts'
import type { Capacity } from '../../shared/domain/fleet.ts'
import { parseVmId } from '../../shared/domain/ids.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import { adaptDomainXml } from './adapt-definition.ts'
import {
  CONSOLE_DIRECTORY,
  consolePath,
  eraseVm,
  makeConsoleDirectory,
  readSignsOfLife,
} from './boot-watch.ts'
import { actToState, defineVm, destroyIncomingVm, readState, stopVm, undefineVm } from './domain-actions.ts'
import { createDomainList } from './domain-list.ts'
import { readMigrationStanding } from './domain-standing.ts'
import { parseCpuModels } from './domain-xml.ts'
import { createEventStream } from './event-stream.ts'
import type { Hypervisor } from './hypervisor.ts'
import { cancelOutgoing, migrateLive } from './live-migration.ts'
import { canDetectZeroes } from './migration.ts'
import { incomingSockets, outgoingSockets, SOCKET_DIRECTORY, socketNameFits } from './sockets.ts'
import { ACTION_TIMEOUT_MS, createVirsh, isConnectionLost, type Virsh, virshArgv } from './virsh-command.ts'
import { createVirshSession } from './virsh-session.ts'
import { parseAutostart, parseNetworkNames, parseNodeInfo, parseVersion } from './virsh-text.ts'

export interface VirshHypervisorOptions {
  readonly run: CommandRunner
  /** Which libvirt; `qemu:///system` on a blade. */
  readonly uri: string
  readonly clock: Clock
  readonly log: Logger
  /** Where the sockets of migrations live. @default SOCKET_DIRECTORY, the only place the AppArmor profiles allow */
  readonly runtimeDir?: string
  /** Where isolated VMs print to. @default CONSOLE_DIRECTORY */
  readonly consoleDir?: string
  /** Names of the bridges of the blade, made by whomever. */
  bridges(): Promise<readonly string[]>
}

/**
 * QEMU through libvirt through `virsh`, the tool an administrator would use. What costs is starting it: the inventory lives
 * on one long-running `virsh event` and asks only after it said something, and what is asked is typed into another that
 * stays (virsh-session.ts).
 */
export function createVirshHypervisor(options: VirshHypervisorOptions): Hypervisor {
  const { run, uri, clock, log, runtimeDir = SOCKET_DIRECTORY } = options
  const { consoleDir = CONSOLE_DIRECTORY } = options
  const session = createVirshSession({ run, argv: virshArgv(uri, []), saysLost: isConnectionLost, clock })
  const virsh = createVirsh(run, uri, session)
  const events = createEventStream({ run, argv: virsh.argv, clock, log })
  let zeroDetection: Promise<boolean> | undefined
  const detectsZeroes = () => {
    // Asked once: an upgrade of libvirt is known at the next start of the agent.
    zeroDetection ??= virsh.text(['--version']).then(canDetectZeroes, () => false)
    return zeroDetection
  }
  const migration = { virsh, uri, clock, log, detectsZeroes }
  const cpuModels = createCpuModels(virsh, log)

  return {
    list: createDomainList({ virsh, events, clock, nameFits: name => socketNameFits(runtimeDir, name) }),
    capacity: async () => await readCapacity(virsh, cpuModels, options.bridges),
    watch: onChange => {
      // Who watches will ask again and again.
      const letGo = session.keep()
      const unsubscribe = events.subscribe(onChange)
      return () => {
        unsubscribe()
        letGo()
      }
    },

    start: async (id, by) => await actToState(virsh, parseVmId(id), ['start'], 'running', by),
    stop: async (id, force, timeoutMs, by) =>
      await stopVm({ virsh, clock }, parseVmId(id), { force, timeoutMs, run: by }),
    pause: async (id, by) => await actToState(virsh, parseVmId(id), ['suspend'], 'paused', by),
    resume: async (id, by) => await actToState(virsh, parseVmId(id), ['resume'], 'running', by),

    state: async id => await readState(virsh, parseVmId(id)),
    // --security-info: without it the passwords of consoles would be lost on the way to another blade.
    definition: async id => await virsh.text(['dumpxml', parseVmId(id), '--inactive', '--security-info']),
    define: async (definition, by) => {
      // An isolated VM prints into it, and nobody else would make it anew after a boot of the blade.
      if (definition.includes(consoleDir)) await makeConsoleDirectory(consoleDir)
      await defineVm(virsh, runtimeDir, definition, by)
    },
    undefine: async (id, by) => await undefineVm(virsh, parseVmId(id), by),
    autostart: async id => parseAutostart(await virsh.text(['dominfo', parseVmId(id)])),
    setAutostart: async (id, on, by) => {
      const words = ['autostart', parseVmId(id), ...(on ? [] : ['--disable'])]
      await virsh.text(words, { run: by, timeoutMs: ACTION_TIMEOUT_MS })
    },
    destroyIncoming: async (id, by) => await destroyIncomingVm({ virsh, clock }, parseVmId(id), by),

    adaptDefinition: (definition, changes) =>
      adaptDomainXml(definition, changes, consolePath(consoleDir, changes.id)),
    signsOfLife: async id => await readSignsOfLife(virsh, consoleDir, parseVmId(id)),
    erase: async (id, by) => await eraseVm(virsh, consoleDir, parseVmId(id), by),

    migrate: async (id, sockets, how) => await migrateLive(migration, parseVmId(id), sockets, how),
    isMigrating: async id => {
      const standing = await readMigrationStanding(virsh, parseVmId(id))
      if (standing.state === 'absent') throw new LifeboatError('not-found', `libvirt has no VM ${id}`)
      return standing.migrating
    },
    cancelMigration: async (id, by) => await cancelOutgoing(migration, parseVmId(id), by),
    incomingSockets: (vmName, moveId) => incomingSockets(runtimeDir, vmName, moveId),
    outgoingSockets: (vmName, moveId) => outgoingSockets(runtimeDir, vmName, moveId),
  }
}

async function readCapacity(
  virsh: Virsh,
  cpuModels: (hypervisor: string) => Promise<readonly string[]>,
  bridges: () => Promise<readonly string[]>,
): Promise<Omit<Capacity, 'pools' | 'reservedMemoryBytes'>> {
  // Not strict: a blade without libvirt's network driver has no virtual networks, and that is all.
  const { sections } = await virsh.batch([['net-list', '--name'], ['nodeinfo'], ['version']])
  const [networks = '', nodeInfo = '', version = ''] = sections
  const hypervisor = parseVersion(version)
  return {
    ...parseNodeInfo(nodeInfo),
    networks: [
      ...(await bridges()).map(name => `bridge:${name}`),
      ...parseNetworkNames(networks).map(name => `network:${name}`),
    ].toSorted(),
    hypervisor,
    cpuModels: await cpuModels(hypervisor),
  }
}

/**
 * Asked once for each version of libvirt and QEMU: libvirt may have to start a QEMU to find out. A failure is no
 * reason to hide the blade: an empty list means not known, so not checked, and is asked again next time.
 */
function createCpuModels(virsh: Virsh, log: Logger): (hypervisor: string) => Promise<readonly string[]> {
  let known: { readonly hypervisor: string; readonly models: readonly string[] } | undefined
  let failed = false
  return async hypervisor => {
    if (known?.hypervisor === hypervisor) return known.models
    try {
      const text = await virsh.text(['domcapabilities'], { timeoutMs: ACTION_TIMEOUT_MS })
      known = { hypervisor, models: parseCpuModels(text) }
      failed = false
      return known.models
    } catch (error) {
      if (!failed)
        log.warn('the CPU models of this blade cannot be read; moves are not checked for them', { error })
      failed = true
      return []
    }
  }
}
