import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { unpackPackages } from './debian-packages.ts'
import type { Cluster } from './placement-clusters.ts'
import { bytesOf } from './placement-exact.ts'
import { runMeasured } from './placement-run.ts'

/** Fewest bytes of VMs that step aside, by the final state alone; `infeasible`: none will do, `gave-up`: not within the time limit. */
export type Milp = (cluster: Cluster, maxExtra: number) => Promise<number | 'infeasible' | 'gave-up'>

const LIMIT_S = 60

/**
 * A second opinion on the exact answer: Debian's CBC solves the same question as a mixed-integer program. It knows no
 * order of moves, so it may only be lower. Undefined where the package cannot be had.
 */
export async function findMilp(say: (text: string) => void): Promise<Milp | undefined> {
  try {
    const { root, env } = await unpackPackages('coinor-cbc', ['coinor-cbc'], say)
    return async (cluster, maxExtra) => {
      const folder = mkdtempSync(join(tmpdir(), 'lifeboat-milp-'))
      try {
        const [problem, answer] = [join(folder, 'problem.lp'), join(folder, 'answer')]
        writeFileSync(problem, toLp(cluster, maxExtra))
        const argv = [join(root, 'usr/bin/cbc'), problem, 'sec', String(LIMIT_S), 'solve', 'solution', answer]
        await runMeasured(argv, { env, limitMs: (LIMIT_S + 30) * 1000 })
        return readAnswer(readFileSync(answer, 'utf8'))
      } finally {
        rmSync(folder, { recursive: true })
      }
    }
  } catch (error) {
    say(
      `*** coinor-cbc cannot be had (${error instanceof Error ? error.message : error}): NO SECOND OPINION ***`,
    )
    return undefined
  }
}

/** `x_VM_BLADE` is 1 where the VM is in the end. */
function toLp(cluster: Cluster, maxExtra: number): string {
  const targets = cluster.blades.filter(blade => !blade.isDrained)
  const drained = new Set(cluster.blades.filter(blade => blade.isDrained).map(blade => blade.name))
  const name = (vm: number, blade: number) => `x_${vm}_${blade}`
  const away = cluster.vms.flatMap((vm, index) =>
    drained.has(vm.blade)
      ? []
      : targets.flatMap((blade, to) => (blade.name === vm.blade ? [] : [{ vm, name: name(index, to) }])),
  )
  const limits = targets.flatMap((blade, to) => [
    { of: cluster.vms.map(vm => vm.memoryMib), most: blade.memoryMib - blade.hostMemoryMib, to },
    { of: cluster.vms.map(vm => vm.diskMib), most: blade.diskMib, to },
  ])
  return [
    'Minimize',
    ` cost: ${away.map(each => `${bytesOf(each.vm)} ${each.name}`).join('\n + ')}`,
    'Subject To',
    ...cluster.vms.map((_, vm) => ` once_${vm}: ${targets.map((_, to) => name(vm, to)).join(' + ')} = 1`),
    ...limits.map(
      ({ of, most, to }, index) =>
        ` room_${index}: ${of.map((size, vm) => `${size} ${name(vm, to)}`).join('\n + ')} <= ${most}`,
    ),
    ` extra: ${away.map(each => each.name).join('\n + ')} <= ${maxExtra}`,
    'Binary',
    ...cluster.vms.map((_, vm) => ` ${targets.map((_, to) => name(vm, to)).join(' ')}`),
    'End',
    '',
  ].join('\n')
}

/** First line: `Optimal - objective value 12288.00000000`. */
function readAnswer(text: string): number | 'infeasible' | 'gave-up' {
  const [head = ''] = text.split('\n')
  if (/^(Integer i|I)nfeasible/.test(head)) return 'infeasible'
  const found = /^Optimal - objective value (\S+)/.exec(head)
  return found === null ? 'gave-up' : Math.round(Number(found[1]))
}
