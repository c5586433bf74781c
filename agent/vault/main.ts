#!/usr/bin/env node
import { CommanderError } from 'commander'
import { randomIds, systemClock } from '../../shared/clock.ts'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { createLogger } from '../../shared/log.ts'
import { createWorkerTransfer } from '../backup/transfer/worker-transfer.ts'
import { createVirshHypervisor } from '../hypervisor/virsh.ts'
import { createHostVolumes } from '../storage/volumes-host.ts'
import type { VaultCommandContext } from './commands/context.ts'
import { EXIT_CODES, exitCodeOf } from './commands/exit-codes.ts'
import { createVaultProgram, type GlobalOptions, prepareProgram } from './commands/program.ts'
import { createProgress } from './commands/progress.ts'
import { addServiceCommands } from './commands/service.ts'

async function main(): Promise<number> {
  let exitCode: number = EXIT_CODES.done
  const clock = systemClock
  const log = createLogger({ level: 'warn', format: 'console' })
  const run = createCommandRunner(clock)
  const progress = createProgress(process.stderr, clock)
  const interrupt = new AbortController()
  const listen = (): AbortSignal => {
    process.once('SIGINT', () => interrupt.abort())
    process.once('SIGTERM', () => interrupt.abort())
    return interrupt.signal
  }
  let interrupted: AbortSignal | undefined
  const context: VaultCommandContext = {
    print: text => {
      progress.clear()
      process.stdout.write(`${text}\n`)
    },
    note: text => {
      progress.clear()
      process.stderr.write(`${text}\n`)
    },
    progress: progress.tell,
    json: () => program.opts<GlobalOptions>().output === 'json',
    exitWith: code => {
      exitCode = code
    },
    // The service and `join` listen for themselves, or end at once.
    get interrupted() {
      interrupted ??= listen()
      return interrupted
    },
    clock,
    ids: randomIds,
    log,
    run,
    transfer: createWorkerTransfer({ run, clock, log }),
    hypervisor: () =>
      createVirshHypervisor({ run, clock, log, uri: 'qemu:///system', bridges: async () => [] }),
    volumes: directories => createHostVolumes({ run, clock, log, directories: () => directories }),
  }
  const program = createVaultProgram(context)
  addServiceCommands(program)
  prepareProgram(program, program.name())
  try {
    await program.parseAsync(process.argv)
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.done : EXIT_CODES.usage
    progress.clear()
    reportError(error, context.json())
    return exitCodeOf(error)
  }
}

/** Errors go to standard error; with `--output json` as one JSON object, so that a program need not parse prose. */
function reportError(error: unknown, json: boolean): void {
  if (!json) {
    process.stderr.write(`lifeboat-vault: ${formatErrorChain(error)}\n`)
    return
  }
  const code = error instanceof LifeboatError ? error.code : 'internal'
  const details = error instanceof LifeboatError ? error.details : []
  process.stderr.write(`${JSON.stringify({ error: { code, message: formatErrorChain(error), details } })}\n`)
}

const exitCode = await main()
// The service says its own.
if (exitCode !== EXIT_CODES.done) process.exitCode = exitCode
