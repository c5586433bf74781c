import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from './errors.ts'
import { type Host, NAMESPACE } from './hosts.ts'
import { imageDir } from './image/build.ts'
import { requireLabRecord, SOCKET_DIR } from './place.ts'
import { type RunOptions, type RunResult, run, runAttached, tail } from './run.ts'
import { isPowered } from './uml/uml.ts'

/**
 * The argv that runs a command on a host. The words arrive as they are given: ssh would join them with blanks and
 * let a shell split them again, so each is quoted. A pipe needs `sh -c '…'`.
 */
export function sshArgv(host: Host, argv: readonly string[], options: { terminal?: boolean } = {}): string[] {
  return [
    ...['nsenter', `--net=/run/netns/${NAMESPACE}`, 'ssh', ...sshOptions(host)],
    ...(options.terminal ? ['-t'] : ['-T']),
    ...[`root@${host.oobAddress}`, '--', argv.map(quote).join(' ')],
  ]
}

/** Runs a command on a host; its exit code is returned, 255 means that the host did not answer. */
export function exec(host: Host, argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  return run(sshArgv(host, argv), options)
}

/** Like `exec`, but a non-zero exit is an error. Returns what the command printed. */
export async function mustExec(
  host: Host,
  argv: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const result = await exec(host, argv, options)
  if (result.code !== 0) {
    throw new LabError(`on ${host.name}: ${argv.join(' ')} exited with ${result.code}: ${tail(result)}`, {
      next: isPowered(host.name) ? undefined : `npm run lab -- power ${host.name} on`,
    })
  }
  return result.stdout.toString('utf8')
}

/** Runs a command on a host with the caller's standard streams and returns its exit code. */
export function execAttached(host: Host, argv: readonly string[]): Promise<number> {
  const terminal = Boolean(process.stdin.isTTY && process.stdout.isTTY)
  return runAttached(sshArgv(host, argv, { terminal }))
}

/** Opens the connection that later commands share: 30 ms a command instead of 300. Best effort. */
export async function shareConnection(host: Host): Promise<void> {
  mkdirSync(SOCKET_DIR, { recursive: true, mode: 0o700 })
  // A master of its own, started with -f: one started by a command would hold that command's pipes open.
  const ssh = ['nsenter', `--net=/run/netns/${NAMESPACE}`, 'ssh', ...sshOptions(host)]
  await run([...ssh, '-M', '-N', '-f', `root@${host.oobAddress}`], { timeoutMs: 10_000 })
}

/** Ends the shared connection, before the host goes away: a command on a dead one waits for half a minute. */
export async function dropConnection(host: Host): Promise<void> {
  await run(['ssh', ...sshOptions(host), '-O', 'exit', host.oobAddress], { timeoutMs: 5_000 })
  rmSync(join(SOCKET_DIR, host.name), { force: true })
}

function sshOptions(host: Host): string[] {
  const settings = {
    ControlPath: join(SOCKET_DIR, host.name),
    StrictHostKeyChecking: 'no',
    UserKnownHostsFile: '/dev/null',
    LogLevel: 'ERROR',
    BatchMode: 'yes',
    ConnectTimeout: '3',
    ServerAliveInterval: '5',
    ServerAliveCountMax: '3',
  }
  const key = join(imageDir(requireLabRecord().imageKey), 'ssh_key')
  // -F none: the operator's own ssh configuration has no say here
  return [
    '-F',
    'none',
    '-i',
    key,
    ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
  ]
}

function quote(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
