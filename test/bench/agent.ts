import { setTimeout as sleep } from 'node:timers/promises'
import { type Lab, openLab } from '../lab/lab.ts'
import { calm } from '../lab/stories/support/fleet.ts'

const AIM_MIB = 90
const AIM_CPU_PERCENT = 0.5
/** How often memory is looked at: a peak between two looks is not seen, and each look costs the blade CPU. */
const LOOK_EVERY_MS = 15_000
const TICKS_A_SECOND = 100

/** The service's control group: the agent itself and every child it runs. */
const GROUP = '/sys/fs/cgroup/system.slice/lifeboat-agent.service'

interface Reading {
  atMs: number
  /** CPU time of the whole control group, children that have ended included. */
  groupCpuMs: number
  /** CPU time of the main process alone. */
  mainCpuMs: number
  /** Resident set of the main process. */
  residentMiB: number
}

/**
 * Watches the agent of every blade while nothing happens and prints memory and CPU. CPU is that of the unit's control
 * group, so `virsh`, `lvs` and `ipmitool` it runs count, ended ones too.
 */
export async function measureIdleAgents(minutes: number): Promise<void> {
  const lab = openLab()
  await calm(lab)
  console.log(
    `idle agents, ${minutes} min; aims: at most ${AIM_MIB} MiB resident, ${AIM_CPU_PERCENT} % of a core`,
  )
  const first = await readAll(lab)
  const peaks = new Map(first.map(([name, reading]) => [name, reading.residentMiB]))
  const endAt = Date.now() + minutes * 60_000
  let last = first
  while (Date.now() < endAt) {
    await sleep(Math.min(LOOK_EVERY_MS, Math.max(0, endAt - Date.now())))
    last = await readAll(lab)
    for (const [name, { residentMiB }] of last) peaks.set(name, Math.max(residentMiB, peaks.get(name) ?? 0))
  }
  for (const [i, [name, begun]] of first.entries()) {
    const end = last[i]?.[1]
    if (end !== undefined) console.log(describe(name, begun, end, peaks.get(name) ?? 0))
  }
}

function describe(name: string, begun: Reading, end: Reading, peakMiB: number): string {
  const elapsedMs = end.atMs - begun.atMs
  const percent = (ms: number) => (100 * ms) / elapsedMs
  const all = percent(end.groupCpuMs - begun.groupCpuMs)
  const main = percent(end.mainCpuMs - begun.mainCpuMs)
  const verdict = (met: boolean) => (met ? 'met' : 'NOT met')
  return [
    `${name}: resident ${end.residentMiB.toFixed(1)} MiB, peak ${peakMiB.toFixed(1)} (${verdict(peakMiB <= AIM_MIB)})`,
    `CPU ${all.toFixed(2)} % of a core with its children, ${main.toFixed(2)} % itself (${verdict(all <= AIM_CPU_PERCENT)})`,
  ].join('; ')
}

async function readAll(lab: Lab): Promise<[string, Reading][]> {
  return Promise.all(lab.blades.map(async name => [name, await read(lab, name)] as [string, Reading]))
}

async function read(lab: Lab, blade: string): Promise<Reading> {
  const script = `pid=$(systemctl show --value -p MainPID lifeboat-agent); cut -d' ' -f1 /proc/uptime; grep VmRSS /proc/$pid/status; sed 's/.*) //' /proc/$pid/stat; grep usage_usec ${GROUP}/cpu.stat`
  const [uptime = '', rss = '', stat = '', usage = ''] = (
    await lab.mustExec(blade, ['sh', '-c', script])
  ).split('\n')
  const fields = stat.split(' ')
  return {
    // The blade's own clock, so that a slow answer of the lab does not stretch the time.
    atMs: Number(uptime) * 1_000,
    groupCpuMs: Number(usage.split(' ')[1]) / 1_000,
    mainCpuMs: ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_A_SECOND,
    residentMiB: Number(/(\d+) kB/.exec(rss)?.[1]) / 1_024,
  }
}
