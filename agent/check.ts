import { systemClock } from '../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../shared/errors.ts'
import type { CommandRunner } from '../shared/exec.ts'
import { createCommandRunner } from '../shared/exec-node.ts'
import { describeCertificate } from '../shared/rpc/certificates.ts'
import { type HostConfig, readAgentConfig } from './config.ts'
import { createIpmitoolPower } from './health/power-ipmitool.ts'
import { identityPath, readIdentity } from './session/identity-file.ts'

/** One thing looked at; `problem` empty when it is well. */
export interface CheckResult {
  readonly what: string
  readonly note: string
  readonly problem: string
}

const TOOL_LIMIT_MS = 10_000

/** Every program the agent may run, asked for its version in a way that touches nothing. */
const TOOLS: readonly {
  readonly argv: readonly string[]
  readonly needed: (config: HostConfig) => boolean
}[] = [
  { argv: ['virsh', '--version'], needed: () => true },
  { argv: ['lvs', '--version'], needed: () => true },
  { argv: ['qemu-img', '--version'], needed: () => true },
  { argv: ['dmsetup', '--version'], needed: () => true },
  { argv: ['systemd-run', '--version'], needed: () => true },
  { argv: ['ipmitool', '-V'], needed: config => config.bmc !== undefined },
]

/**
 * Looks at everything this blade needs, and lists every problem at once: whoever sets up ten blades does not want to
 * learn of them one by one.
 */
export async function checkBlade(configPath: string): Promise<readonly CheckResult[]> {
  let config: HostConfig
  try {
    config = readAgentConfig(configPath)
  } catch (error) {
    const details = error instanceof LifeboatError ? error.details : []
    const problems = details.length > 0 ? details : [formatErrorChain(error)]
    // What follows depends on the file; with a broken one only the tools that are always needed can be told.
    return problems.map(problem => ({ what: configPath, note: '', problem }))
  }
  const run = createCommandRunner(systemClock)
  const results: CheckResult[] = [{ what: configPath, note: 'can be read', problem: '' }]
  for (const tool of TOOLS) {
    if (tool.needed(config)) results.push(await attempt(tool.argv[0] ?? '', () => firstLine(run, tool.argv)))
  }
  results.push(await thinHelp(run))
  results.push(await attempt('libvirt', () => libvirtVersion(run, config)))
  results.push(await attempt('BMC', () => supplies(run, config)))
  results.push(await attempt('certificate', () => checkCertificate(config.stateDir, 'lifeboat-agent')))
  return results
}

/** Mark, thing, and the note or the problem, one line each. */
export function renderCheck(results: readonly CheckResult[]): string {
  const width = Math.max(...results.map(result => result.what.length))
  return results
    .map(
      ({ what, note, problem }) =>
        `${problem === '' ? 'ok     ' : 'PROBLEM'}  ${what.padEnd(width)}  ${problem || note}`,
    )
    .join('\n')
}

/** Looks, and turns what is thrown into the problem. */
export async function attempt(what: string, look: () => Promise<string>): Promise<CheckResult> {
  try {
    return { what, note: await look(), problem: '' }
  } catch (error) {
    return { what, note: '', problem: formatErrorChain(error) }
  }
}

async function firstLine(run: CommandRunner, argv: readonly string[]): Promise<string> {
  const { stdout } = await run.run(argv, { timeoutMs: TOOL_LIMIT_MS })
  return stdout.trim().split('\n')[0] ?? ''
}

/** Missing it is no problem: a backup of a thin volume then reads all of it. */
async function thinHelp(run: CommandRunner): Promise<CheckResult> {
  const look = await attempt('thin_delta', () => firstLine(run, ['thin_delta', '--version']))
  if (look.problem === '') return look
  return { what: look.what, note: `${look.problem}: backups read thin volumes whole each night`, problem: '' }
}

async function libvirtVersion(run: CommandRunner, config: HostConfig): Promise<string> {
  const { stdout } = await run.run(['virsh', '--connect', config.libvirtUri, 'uri'], {
    timeoutMs: TOOL_LIMIT_MS,
  })
  return `answers at ${stdout.trim()}`
}

async function supplies(run: CommandRunner, config: HostConfig): Promise<string> {
  if (config.bmc === undefined) return 'not used ([power] method = "none")'
  const found = await createIpmitoolPower({ run, access: config.bmc }).supplies()
  return `${found.length} power supplies`
}

/** Who this host is and until when; throws when it has not joined, or too long ago. `program` joins it. */
export async function checkCertificate(stateDir: string, program: string): Promise<string> {
  const joined = await readIdentity(stateDir)
  if (joined === undefined) {
    throw new LifeboatError(
      'not-found',
      `not joined yet: no ${identityPath(stateDir)}; see ${program} join --help`,
    )
  }
  const { name, notAfter } = describeCertificate(joined.identity.certificatePem)
  if (notAfter <= systemClock.now()) {
    throw new LifeboatError(
      'not-authenticated',
      `the certificate of ${name} has expired: join again with --force`,
    )
  }
  return `${name}, controller ${joined.controller}, until ${new Date(notAfter).toISOString().slice(0, 10)}`
}
