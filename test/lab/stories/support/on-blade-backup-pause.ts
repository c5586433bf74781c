// Bundled and run on a blade: rounds of the benchmark backup-pause, `VM VOLUMES ROUNDS`. Prints the pauses as JSON.
import { spawn, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { createLvmSnapshots } from '../../../../agent/backup/lvm/engine.ts'
import { createHostFiles } from '../../../../agent/health/host-files-node.ts'
import { systemClock } from '../../../../shared/clock.ts'
import type { Vm, Volume } from '../../../../shared/domain/fleet.ts'
import { createCommandRunner } from '../../../../shared/exec-node.ts'
import { silentLogger } from '../../../../shared/log.ts'

const GROUP = 'vg0'
const URI = 'qemu:///system'
const [name = '', volumesJson = '[]', roundsText = '30'] = process.argv.slice(2)
const rounds = Number(roundsText)
const volumes = JSON.parse(volumesJson) as { name: string; sizeBytes: number; thin: boolean }[]

/** The snapshots by hand, as somebody would type them who knows his LVM. */
const BARE = [
  'set -e',
  `virsh suspend ${name}`,
  ...volumes.map(({ name: origin, thin }, index) =>
    thin
      ? `lvcreate -s -n bench-snap${index} ${GROUP}/${origin}`
      : `lvcreate -y -s -L 16M -n bench-snap${index} ${GROUP}/${origin}`,
  ),
  `virsh resume ${name}`,
].join('; ')
const REMOVE = ['lvremove', '-qy', ...volumes.map((_, index) => `${GROUP}/bench-snap${index}`)]

/** Standstills of the guest as libvirt tells them: from its event of the pause to that of the resume. */
function watchGuest() {
  const words = ['event', '--event', 'lifecycle', '--domain', name, '--loop', '--timestamp']
  const program = spawn('virsh', ['--connect', URI, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  let suspendedAt = 0
  let waiting: PromiseWithResolvers<number> | undefined
  createInterface(program.stdout).on('line', line => {
    const at = Date.parse((/^(\S+ \S+?)\+0000:/.exec(line)?.[1] ?? '').replace(' ', 'T').concat('Z'))
    if (line.includes(': Suspended')) suspendedAt = at
    if (line.includes(': Resumed')) waiting?.resolve(at - suspendedAt)
  })
  return {
    async pauseOf(work: () => Promise<unknown>): Promise<number> {
      const mine = Promise.withResolvers<number>()
      waiting = mine
      await work()
      const limit = AbortSignal.timeout(20_000)
      limit.addEventListener('abort', () => mine.reject(new Error('libvirt told of no pause')))
      return await mine.promise
    },
    end: () => void program.kill(),
  }
}

const run = createCommandRunner(systemClock)
const snapshots = createLvmSnapshots({
  uri: URI,
  files: createHostFiles(),
  clock: systemClock,
  log: silentLogger,
  makeRoom: async () => [],
})

function describeVm(): Vm {
  const id = spawnSync('virsh', ['domuuid', name]).stdout.toString('utf8').trim()
  const disks = volumes.map(
    ({ name: origin, sizeBytes, thin }, index): Volume => ({
      target: `vd${'ab'[index]}`,
      path: `/dev/${GROUP}/${origin}`,
      storage: thin ? 'thin' : 'thick',
      pool: thin ? `${GROUP}/pool` : GROUP,
      ...{ sizeBytes, allocatedBytes: sizeBytes, format: 'raw' },
    }),
  )
  const rest = { memoryBytes: 0, vcpus: 1, networks: [], obstacles: [], epoch: 0, machine: 'pc' }
  const seen = { cpuModel: 'qemu64', persistent: true, incoming: false }
  return { id, name, state: 'running', volumes: disks, ...rest, ...seen }
}

const vm = describeVm()
const guest = watchGuest()

async function ours(): Promise<number> {
  const request = { backupId: randomUUID(), vm, mode: 'pause', pauseBudgetMs: 20_000, force: false } as const
  const plan = await snapshots.plan(request, run)
  const pauseMs = await guest.pauseOf(() => snapshots.take(plan, run))
  await snapshots.release(plan, undefined, run)
  return pauseMs
}

async function bare(): Promise<number> {
  const pauseMs = await guest.pauseOf(async () => {
    const shell = spawn('sh', ['-c', BARE], { stdio: ['ignore', 'ignore', 'pipe'] })
    const complaints: string[] = []
    shell.stderr.on('data', chunk => complaints.push(String(chunk)))
    const code = await new Promise(resolve => shell.on('close', resolve))
    if (code !== 0) throw new Error(`by hand: ${complaints.join('')}`)
  })
  spawnSync(REMOVE[0] ?? '', REMOVE.slice(1))
  return pauseMs
}

// What a round that failed has left would fail the next one.
spawnSync(REMOVE[0] ?? '', REMOVE.slice(1))
const found = { ours: [] as number[], bare: [] as number[] }
// The events take a moment to be asked for; whoever is first in a round changes with each.
await systemClock.sleep(2000)
for (let round = 0; round < rounds; round++) {
  for (const side of round % 2 === 0 ? (['ours', 'bare'] as const) : (['bare', 'ours'] as const)) {
    found[side].push(await (side === 'ours' ? ours() : bare()))
  }
  process.stderr.write(`${name} round ${round + 1}: ours ${found.ours.at(-1)}, bare ${found.bare.at(-1)}\n`)
}
guest.end()
console.log(JSON.stringify(found))
