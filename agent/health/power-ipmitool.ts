import { SECOND_MS } from '../../shared/domain/units.ts'
import { errorCode, LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Power } from './power.ts'
import { parseSupplies } from './power-text.ts'

/** Two tries of two seconds for a BMC that does not answer, and reading a large sensor repository over the network. */
const TIME_LIMIT_MS = 10 * SECOND_MS

/** The blade's own BMC through /dev/ipmi0, or any BMC by its address. */
export type BmcAccess =
  | { readonly method: 'local' }
  | {
      readonly method: 'lanplus'
      readonly host: string
      readonly user: string
      /** Mode 0600, owned by root: a password in argv would be shown by `ps`. */
      readonly passwordFile: string
      readonly cipherSuite: number
    }

/** The real Power, by one ipmitool process per reading. */
export function createIpmitoolPower(options: { run: CommandRunner; access: BmcAccess }): Power {
  const { run, access } = options
  const argv = ['ipmitool', '-c', ...accessArgs(access), 'sdr', 'type', 'Power Supply']
  return {
    async supplies() {
      const { stdout } = await run.run(argv, { timeoutMs: TIME_LIMIT_MS }).catch((error: unknown) => {
        throw bmcFailure(access, error)
      })
      return parseSupplies(stdout)
    },
  }
}

function accessArgs(access: BmcAccess): string[] {
  if (access.method === 'local') return ['-I', 'open']
  return [
    ...['-I', 'lanplus', '-H', access.host, '-U', access.user, '-f', access.passwordFile],
    // ipmitool otherwise tries suite 17 first and waits out a BMC that does not know it (10 s a call).
    ...['-C', String(access.cipherSuite)],
    // One retry after 2 s: an unreachable BMC is told in about 4 s, before our own limit cuts in.
    ...['-R', '1', '-N', '2'],
  ]
}

/** A BMC that does not answer is `unavailable`, however ipmitool put it; a missing tool stays what it is. */
function bmcFailure(access: BmcAccess, error: unknown): LifeboatError {
  const code = errorCode(error)
  const where = access.method === 'local' ? 'the BMC of this blade (/dev/ipmi0)' : `the BMC at ${access.host}`
  return new LifeboatError(
    code === 'command-failed' || code === 'timeout' ? 'unavailable' : code,
    `${where} gives no power supply readings`,
    { cause: error },
  )
}
