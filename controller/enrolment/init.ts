import { existsSync } from 'node:fs'
import { hostname, networkInterfaces } from 'node:os'
import { dirname } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import { writeDurably } from '../../shared/durable-file.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { createIdentity } from '../../shared/rpc/certificates.ts'
import { CONFIG_TEMPLATE, databasePath, readControllerConfig } from '../config.ts'
import { openStore } from '../store/store.ts'
import { ADMIN_CERTIFICATE_DAYS, ensurePki } from './authority.ts'

const UNIT = 'lifeboat-controller'
const USER = 'lifeboat'
const TOOL_LIMIT_MS = 60_000

export interface InitOptions {
  readonly configPath: string
  /** Names and addresses agents and people reach this host by; empty: found out, or those of the last time. */
  readonly addresses: readonly string[]
  readonly start: boolean
}

/**
 * Makes a host the controller: configuration, CA, database, owner, unit. Each part only when it is missing, so a
 * second call changes nothing. Returns what was done, one line each.
 */
export async function initController(
  options: InitOptions,
  run: CommandRunner,
  clock: Clock,
): Promise<{ readonly done: readonly string[]; readonly addresses: readonly string[] }> {
  const done: string[] = []
  if (!existsSync(options.configPath)) {
    writeDurably(options.configPath, CONFIG_TEMPLATE, 0o644)
    done.push(`wrote ${options.configPath}`)
  }
  const config = readControllerConfig(options.configPath)
  const hadDatabase = existsSync(databasePath(config))
  const pki = await ensurePki(
    config.stateDir,
    clock.now(),
    options.addresses.length > 0 ? options.addresses : undefined,
    localAddresses(),
  )
  done.push(...pki.made.map(path => `made ${path}`))
  // One that is there is left alone: the service may have it open, under another user.
  if (!hadDatabase) {
    openStore(databasePath(config)).close()
    done.push(`made ${databasePath(config)}`)
  }
  if (await giveToUser(config.stateDir, run)) done.push(`gave ${config.stateDir} to the user ${USER}`)
  if (options.start) done.push(...(await startUnit(run)))
  return { done, addresses: pki.addresses }
}

/** The package makes the user; without it (a trial run, a simulation) the caller stays the owner. */
async function giveToUser(dir: string, run: CommandRunner): Promise<boolean> {
  if (process.getuid?.() !== 0) return false
  const limits = { timeoutMs: TOOL_LIMIT_MS, okExitCodes: [0, 1] }
  const user = await run.run(['id', '-u', USER], limits)
  if (user.exitCode !== 0) return false
  const foreign = await run.run(['find', dir, '!', '-user', USER, '-print', '-quit'], limits)
  if (foreign.stdout.trim() === '') return false
  await run.run(['chown', '-R', `${USER}:${USER}`, dir], { timeoutMs: TOOL_LIMIT_MS })
  return true
}

async function startUnit(run: CommandRunner): Promise<string[]> {
  const ask = async (verb: string) => {
    const limits = { timeoutMs: TOOL_LIMIT_MS, okExitCodes: [0, 1, 3, 4] }
    return (await run.run(['systemctl', verb, '--quiet', UNIT], limits)).exitCode === 0
  }
  if ((await ask('is-enabled')) && (await ask('is-active'))) return []
  await run.run(['systemctl', 'enable', '--now', UNIT], { timeoutMs: TOOL_LIMIT_MS })
  return [`enabled and started ${UNIT}.service`]
}

/** This host's name and its addresses that others can reach. */
export function localAddresses(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap(each => each ?? [])
    .filter(each => !each.internal && !each.address.startsWith('fe80'))
    .map(each => each.address)
  return [...new Set([hostname(), ...addresses])]
}

/**
 * A certificate of role admin for the lifeboat command on another host: certificate.pem, key.pem, authority.pem.
 * Throws `not-found` before `init`.
 */
export async function writeAdminIdentity(
  stateDir: string,
  name: string,
  directory: string,
  clock: Clock,
): Promise<void> {
  if (!/^[A-Za-z0-9._@-]{1,64}$/.test(name)) {
    throw new LifeboatError(
      'bad-input',
      `'${name}' is not a name for an administrator: letters, digits and . _ @ -`,
    )
  }
  if (!existsSync(`${stateDir}/pki/authority.key`)) {
    throw new LifeboatError('not-found', `${stateDir} has no authority; lifeboat-controller init makes it`)
  }
  const { authority } = await ensurePki(stateDir, clock.now(), undefined, localAddresses())
  const identity = await createIdentity(
    authority,
    { name, role: 'admin' },
    clock.now(),
    ADMIN_CERTIFICATE_DAYS,
  )
  writeDurably(`${directory}/key.pem`, identity.privateKeyPem, 0o600)
  writeDurably(`${directory}/certificate.pem`, identity.certificatePem, 0o644)
  writeDurably(`${directory}/authority.pem`, identity.authorityPem, 0o644)
}

/** Everything that stands against a start, one line each; empty: ready. */
export function checkController(configPath: string): string[] {
  const problems: string[] = []
  try {
    const config = readControllerConfig(configPath)
    if (!existsSync(`${config.stateDir}/pki/authority.crt`)) {
      problems.push(`${config.stateDir} has no authority yet: lifeboat-controller init`)
    } else {
      openStore(databasePath(config)).close()
    }
    if (!existsSync(dirname(config.listen.socket))) {
      problems.push(`${dirname(config.listen.socket)} does not exist: the unit makes it when it starts`)
    }
  } catch (error) {
    if (!(error instanceof LifeboatError)) throw error
    problems.push(error.message, ...error.details)
  }
  return problems
}
