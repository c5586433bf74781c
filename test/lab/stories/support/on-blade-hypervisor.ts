// Bundled and run on a blade: the contract of Hypervisor against libvirt of this blade and, by ssh, of another one.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { MigrationSockets } from '../../../../agent/hypervisor/hypervisor.ts'
import { SOCKET_DIRECTORY, socketDirectories } from '../../../../agent/hypervisor/sockets.ts'
import { createVirshHypervisor } from '../../../../agent/hypervisor/virsh.ts'
import { systemClock } from '../../../../shared/clock.ts'
import { createCommandRunner } from '../../../../shared/exec-node.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { type HypervisorsUnderTest, hypervisorContract } from '../../../contract/hypervisor.ts'
import { readRecord, SECTOR_BYTES } from '../../guest/record.ts'
import { domainXml } from './domains.ts'

const TARGET = process.env.LIFEBOAT_TEST_TARGET ?? ''
const VOLUME = '/dev/vg0/contract'
/** Slow enough that a migration of the guest's 32 MiB lasts until somebody ends it. */
const SLOW_MIB_A_SECOND = '1'

type Side = 'source' | 'target'
const run = createCommandRunner(systemClock)

function tool(side: Side, ...argv: string[]): Buffer {
  const words = side === 'source' ? argv : ['ssh', '-n', `root@${TARGET}`, '--', ...argv]
  return execFileSync(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 })
}

/** For what may be gone already. */
function attempt(side: Side, ...argv: string[]): void {
  try {
    tool(side, ...argv)
  } catch {
    // It was not there.
  }
}

function hypervisor(uri: string) {
  return createVirshHypervisor({ run, uri, clock: systemClock, log: silentLogger, bridges: async () => [] })
}

function makeVolume(side: Side): void {
  tool(side, 'lvcreate', '-qy', '-W', 'y', '-L', '8M', '-n', 'contract', 'vg0')
}

function diskXml(): string {
  return `<disk type='block' device='disk'><driver name='qemu' type='raw' cache='none' io='threads'/><source dev='${VOLUME}'/><target dev='vda' bus='virtio'/><boot order='1'/></disk>`
}

/** What the two agents do between the libvirts, by ssh: three UNIX sockets here lead to three there. */
async function openTunnel(
  outgoing: MigrationSockets,
  incoming: MigrationSockets,
): Promise<{ cut(): void; close(): Promise<void> }> {
  const pairs = (['control', 'memory', 'disk'] as const).flatMap(channel => [
    '-L',
    `${outgoing[channel]}:${incoming[channel]}`,
  ])
  for (const path of Object.values(outgoing)) rmSync(path, { force: true })
  // QEMU connects as its own user, hence the mask.
  const options = ['-o', 'StreamLocalBindMask=0111', '-o', 'ExitOnForwardFailure=yes']
  const ssh = spawn('ssh', ['-N', ...options, ...pairs, `root@${TARGET}`], { stdio: 'ignore' })
  while (!Object.values(outgoing).every(path => existsSync(path))) await sleep(50)
  return {
    cut: () => void ssh.kill('SIGKILL'),
    async close() {
      await end(ssh)
      for (const path of Object.values(outgoing)) rmSync(path, { force: true })
      for (const path of [incoming.memory, incoming.disk]) attempt('target', 'rm', '-f', path)
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  while (child.exitCode === null && child.signalCode === null) await sleep(20)
}

async function twoBlades(): Promise<HypervisorsUnderTest> {
  const source = hypervisor('qemu:///system')
  const target = hypervisor(`qemu+ssh://root@${TARGET}/system`)
  const id = randomUUID()
  for (const { path, mode } of socketDirectories(SOCKET_DIRECTORY)) {
    mkdirSync(path, { recursive: true })
    for (const side of ['source', 'target'] as const) {
      tool(side, 'mkdir', '-p', path)
      tool(side, 'chmod', mode.toString(8), path)
    }
  }
  // As in the agent: who watches has what it asks answered by a virsh that stays.
  const letGo = [source, target].map(each => each.watch(() => {}))
  return {
    source,
    target,
    run,
    async addVm(name) {
      makeVolume('source')
      tool('source', 'lab-guest', name, VOLUME)
      const xml = domainXml(name, [diskXml()], 16).replace('<memory', `<uuid>${id}</uuid>\n  <memory`)
      writeFileSync('/root/contract.xml', xml)
      tool('source', 'virsh', '-q', 'define', '/root/contract.xml')
      return id
    },
    makeTargetVolumes: async () => makeVolume('target'),
    tunnel: (vmName, moveId) =>
      openTunnel(source.outgoingSockets(vmName, moveId), target.incomingSockets(vmName, moveId)),
    slowMigrations: () => {
      tool('source', 'virsh', '-q', 'migrate-setspeed', id, SLOW_MIB_A_SECOND)
      return { begun: untilMigrating(() => source.isMigrating(id)) }
    },
    startByHand: async () => void tool('source', 'virsh', '-q', 'start', id),
    count: async where => {
      const dd = ['dd', `if=${VOLUME}`, 'bs=64K', 'count=1', 'iflag=direct', 'status=none']
      const bytes = tool(where, ...dd)
      return readRecord(bytes.subarray(SECTOR_BYTES, 2 * SECTOR_BYTES))?.counter ?? -1
    },
    close: async () => {
      for (const stop of letGo) stop()
      for (const side of ['source', 'target'] as const) {
        attempt(side, 'virsh', '-q', 'destroy', id)
        attempt(side, 'virsh', '-q', 'undefine', id)
        attempt(side, 'lvremove', '-qy', VOLUME)
      }
    },
  }
}

async function untilMigrating(look: () => Promise<boolean>): Promise<void> {
  while (!(await look().catch(() => false))) await sleep(100)
}

if (!readFileSync('/proc/cmdline', 'utf8').includes('lab_number='))
  throw new Error('this is no blade of the lab')
hypervisorContract('virsh', twoBlades)
