import { systemClock } from '../../shared/clock.ts'
import { formatBytes } from '../../shared/domain/units.ts'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { attempt, type CheckResult, checkCertificate } from '../check.ts'
import { readVaultConfig, type VaultConfig } from './config.ts'
import { readSpace, tooFull } from './store/space.ts'
import { isDropInCurrent, VAULT_UNIT } from './unit-files.ts'

const TOOL_LIMIT_MS = 10_000

/** Looks at everything the service needs, and lists every problem at once; touches nothing. */
export async function checkVaultHost(configPath: string): Promise<readonly CheckResult[]> {
  let config: VaultConfig
  try {
    config = readVaultConfig(configPath)
  } catch (error) {
    const details = error instanceof LifeboatError ? error.details : []
    const problems = details.length > 0 ? details : [formatErrorChain(error)]
    return problems.map(problem => ({ what: configPath, note: '', problem }))
  }
  const run = createCommandRunner(systemClock)
  return [
    { what: configPath, note: 'can be read', problem: '' },
    await attempt('sync', () => syncVersion(run)),
    await attempt('unit', async () => unit(config)),
    await attempt('directory', () => directory(config)),
    await attempt('certificate', () => checkCertificate(config.stateDir, VAULT_UNIT)),
  ]
}

async function syncVersion(run: CommandRunner): Promise<string> {
  const { stdout } = await run.run(['sync', '--version'], { timeoutMs: TOOL_LIMIT_MS })
  return stdout.trim().split('\n')[0] ?? ''
}

function unit(config: VaultConfig): string {
  if (isDropInCurrent(config)) return 'may write where the configuration says'
  throw new LifeboatError(
    'bad-config',
    `the unit does not know the directories of the configuration: lifeboat-vault join --refresh`,
  )
}

async function directory(config: VaultConfig): Promise<string> {
  const space = await readSpace(config.dir)
  const problem = tooFull(space, config.reservePercent)
  if (problem !== '') throw new LifeboatError('refused', problem)
  return `${config.dir}: ${formatBytes(space.freeBytes)} of ${formatBytes(space.sizeBytes)} free`
}
