import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { build, stop } from 'esbuild'
import { createWorkerTransfer } from '../../agent/backup/transfer/worker-transfer.ts'
import type { BackupJob, ReadJob, RestoreJob, VaultAccess } from '../../agent/backup/transfer.ts'
import { momentOfPoint } from '../../agent/vault/format/point.ts'
import { systemClock } from '../../shared/clock.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { silentLogger } from '../../shared/log.ts'
import { createAuthority, createIdentity } from '../../shared/rpc/certificates.ts'
import { LabError } from '../lab/errors.ts'
import {
  childrenCpuS,
  childrenOf,
  type Measured,
  peakMibOf,
  peakOfTree,
  processCpuS,
} from './backup-measure.ts'

const CHUNK_BYTES = 512 * 1024
const VM = { id: '0d5c1f0a-3c5e-4a57-9f35-0a4c8c1d2e10', name: 'bench' }
const LOOK_EVERY_MS = 50

/** As the package makes them, so that start-up costs what it costs there. */
export interface Programs {
  readonly worker: string
  readonly vault: string
}

export async function bundlePrograms(folder: string): Promise<Programs> {
  const root = join(import.meta.dirname, '../..')
  mkdirSync(folder, { recursive: true })
  // For the one native library.
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  await build({
    absWorkingDir: root,
    entryPoints: {
      'lifeboat-transfer': 'agent/backup/transfer/worker.ts',
      vault: 'test/bench/backup-vault.ts',
    },
    outdir: folder,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    external: ['better-sqlite3'],
    banner: {
      js: "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);",
    },
    logLevel: 'warning',
  })
  // Its service would count as a child of ours.
  await stop()
  return { worker: join(folder, 'lifeboat-transfer.mjs'), vault: join(folder, 'vault.mjs') }
}

export interface MeasuredBackup extends Measured {
  /** Of the two processes, each. */
  readonly workerCpuS: number
  readonly vaultCpuS: number
  readonly workerPeakMib: number
  readonly vaultPeakMib: number
  /** Of the process that plays the agent, meanwhile. */
  readonly loopP99Ms: number
  readonly loopLongestMs: number
}

/** A vault process and a transfer, as on a blade. */
export interface Ours {
  backup(point: string, image: string, changed?: ReadJob['changed']): Promise<MeasuredBackup>
  /** `checked`: without the check before it, as if that had been done already. */
  restore(point: string, to: string, checked: boolean): Promise<MeasuredBackup>
  /** What the vault does when no backup comes in any more: it unpacks and hashes what came. Seconds of its CPU. */
  prove(): Promise<number>
  close(): Promise<void>
}

/** Starts a vault in the folder. */
export async function startOurs(folder: string, programs: Programs): Promise<Ours> {
  mkdirSync(folder, { recursive: true })
  const now = systemClock.now()
  const authority = await createAuthority(now)
  const vaultIdentity = await createIdentity(authority, { name: 'depot', role: 'vault' }, now, 2)
  const identity = await createIdentity(authority, { name: 'blade01', role: 'blade' }, now, 2)
  const identityFile = join(folder, 'identity.json')
  writeFileSync(identityFile, JSON.stringify(vaultIdentity), { mode: 0o600 })
  const flags = ['--max-semi-space-size=2', '--single-threaded-gc']
  const program = [programs.vault, join(folder, 'vault'), identityFile]
  const argv = ['-n', '10', process.execPath, ...flags, ...program]
  const vault = spawn('nice', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: vault.stdout })
  const [address] = (await once(answers, 'line')) as [string]
  const access: VaultAccess = { kind: 'network', name: 'depot', address, identity }
  const transfer = createWorkerTransfer({
    run: createCommandRunner(systemClock),
    clock: systemClock,
    log: silentLogger,
    program: programs.worker,
    fingerprints: join(folder, 'fingerprints'),
  })
  const options = { signal: new AbortController().signal }
  return {
    backup: (point, image, changed) =>
      measureOurs(vault, () => transfer.backup(jobOf(access, point, image, changed), options)),
    restore: (point, to, checked) =>
      measureOurs(vault, async () => {
        writeFileSync(to, '')
        await transfer.restore(restoreOf(access, point, to, checked), options)
      }),
    prove: async () => {
      const before = processCpuS(vault.pid ?? 0)
      const answered = once(answers, 'line')
      vault.stdin.write('prove\n')
      await answered
      return processCpuS(vault.pid ?? 0) - before
    },
    close: async () => {
      vault.stdin.end()
      await once(vault, 'exit')
    },
  }
}

function jobOf(access: VaultAccess, point: string, image: string, changed: ReadJob['changed']): BackupJob {
  const { size } = statSync(image)
  return {
    kind: 'backup',
    vault: access,
    rateLimitBytes: 0,
    draft: {
      vm: VM,
      point,
      at: momentOfPoint(point),
      consistency: 'crash',
      pauseMs: 0,
      definition: '',
      memoryBytes: 0,
      vcpus: 1,
      writer: 'bench',
      disks: [
        {
          target: 'vda',
          sizeBytes: size,
          format: 'raw',
          storage: 'thick',
          pool: '',
          path: image,
          chunkBytes: CHUNK_BYTES,
        },
      ],
    },
    reads: [{ target: 'vda', path: image, sizeBytes: size, chunkBytes: CHUNK_BYTES, changed }],
  }
}

function restoreOf(access: VaultAccess, point: string, to: string, checked: boolean): RestoreJob {
  return {
    kind: 'restore',
    vault: access,
    ref: { vmId: VM.id, point },
    writes: [{ target: 'vda', path: to, readsZero: true }],
    checked,
  }
}

async function measureOurs(vault: ChildProcess, work: () => Promise<unknown>): Promise<MeasuredBackup> {
  const vaultPid = vault.pid ?? 0
  const before = { children: childrenCpuS(), vault: processCpuS(vaultPid) }
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  let workerPeakMib = 0
  const timer = setInterval(() => {
    workerPeakMib = Math.max(workerPeakMib, peakOfOthers(vaultPid))
  }, LOOK_EVERY_MS)
  const startedAt = performance.now()
  await work()
  const wallS = (performance.now() - startedAt) / 1000
  clearInterval(timer)
  delay.disable()
  // The worker has answered; its CPU is counted when it has ended.
  await untilNoOthers(vaultPid)
  const workerCpuS = childrenCpuS() - before.children
  const vaultCpuS = processCpuS(vaultPid) - before.vault
  return {
    wallS,
    cpuS: workerCpuS + vaultCpuS,
    workerCpuS,
    vaultCpuS,
    workerPeakMib,
    vaultPeakMib: peakMibOf(vaultPid),
    peakMib: workerPeakMib,
    loopP99Ms: delay.percentile(99) / 1e6,
    loopLongestMs: delay.max / 1e6,
  }
}

function peakOfOthers(vaultPid: number): number {
  return Math.max(
    0,
    ...childrenOf(process.pid)
      .filter(pid => pid !== vaultPid)
      .map(peakOfTree),
  )
}

async function untilNoOthers(vaultPid: number): Promise<void> {
  const limitAt = performance.now() + 10_000
  while (childrenOf(process.pid).some(pid => pid !== vaultPid)) {
    if (performance.now() > limitAt) throw new LabError('the transfer process did not end')
    await systemClock.sleep(5)
  }
}
