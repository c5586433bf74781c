// As a namespace everywhere: `import { z }` keeps all of the library, 6 MB of an idle agent's memory.
import * as z from 'zod'
import { readConfigFile, section } from '../shared/config.ts'
import { MIB } from '../shared/domain/units.ts'
import type { LogLevel } from '../shared/log.ts'
import type { BmcAccess } from './health/power-ipmitool.ts'

export const DEFAULT_CONFIG_PATH = '/etc/lifeboat/agent.toml'
const DEFAULT_STATE_DIR = '/var/lib/lifeboat/agent'

/** What the agent itself needs to know; a test or the simulation makes one by hand. */
export interface AgentConfig {
  readonly stateDir: string
  /** host:port of the peer port; port 0 picks a free one. */
  readonly peerListen: string
  /** host[:port] other blades reach this agent at; empty: our address on the way to the controller. */
  readonly peerAddress: string
  /** Memory no VM may have; undefined: max(512 MiB, 5 %). */
  readonly reserveBytes: number | undefined
}

/** The whole of agent.toml, checked and complete. */
export interface HostConfig extends AgentConfig {
  /** undefined: this blade has no BMC that may be asked. */
  readonly bmc: BmcAccess | undefined
  readonly libvirtUri: string
  readonly logLevel: LogLevel
}

const HOST_PORT = /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/
const HOST_MAYBE_PORT = /^$|^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?$/

const POWER = {
  method: z.enum(['local', 'lanplus', 'none']).default('local'),
  host: z.string().default(''),
  user: z.string().default(''),
  password_file: z.string().default(''),
  cipher_suite: z.int().min(0).max(17).default(3),
}

const FILE = z
  .strictObject({
    peer: section({
      listen: z.string().regex(HOST_PORT, 'must be host:port, like 0.0.0.0:7422').default('0.0.0.0:7422'),
      address: z.string().regex(HOST_MAYBE_PORT, 'must be host or host:port').default(''),
    }),
    power: section(POWER),
    libvirt: section({ uri: z.string().min(1).default('qemu:///system') }),
    memory: section({ reserve_mib: z.int().min(0).max(16_777_216).optional() }),
    state: section({
      dir: z.string().startsWith('/', 'must be an absolute path').default(DEFAULT_STATE_DIR),
    }),
    log: section({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') }),
  })
  .superRefine(({ power }, context) => {
    if (power.method !== 'lanplus') return
    for (const key of ['host', 'user', 'password_file'] as const) {
      if (power[key] === '') {
        context.addIssue({
          code: 'custom',
          path: ['power', key],
          message: 'must be set when method is "lanplus"',
        })
      }
    }
  })

const CONFIG = FILE.transform(
  (file): HostConfig => ({
    stateDir: file.state.dir,
    peerListen: file.peer.listen,
    peerAddress: file.peer.address,
    reserveBytes: file.memory.reserve_mib === undefined ? undefined : file.memory.reserve_mib * MIB,
    bmc: bmcAccess(file.power),
    libvirtUri: file.libvirt.uri,
    logLevel: file.log.level,
  }),
)

/** Reads the file; a missing one is all defaults. Throws `bad-config` with every problem. */
export function readAgentConfig(path: string): HostConfig {
  return readConfigFile(path, CONFIG, 'empty')
}

function bmcAccess(power: z.output<z.ZodObject<typeof POWER>>): BmcAccess | undefined {
  if (power.method === 'none') return undefined
  if (power.method === 'local') return { method: 'local' }
  return {
    method: 'lanplus',
    host: power.host,
    user: power.user,
    passwordFile: power.password_file,
    cipherSuite: power.cipher_suite,
  }
}
