import type { CommandRunner } from '../../../../shared/exec.ts'
import { createScriptedRunner, type ScriptedRunner } from '../../../fakes/scripted-runner.ts'

export interface FakeLv {
  group: string
  name: string
  attributes: string
  sizeBytes: number
  tags: string[]
  pool: string
  origin: string
  dataPercent: string
}

/** Enough of LVM to be asked and changed: what a command prints and refuses is as captured in test/golden/lvm. */
export interface FakeLvm {
  readonly run: ScriptedRunner
  readonly lvs: FakeLv[]
  readonly groups: { name: string; sizeBytes: number; extentBytes: number }[]
  add(lv: Partial<FakeLv> & { name: string }): FakeLv
  /** Changes so far, as one line each. */
  changes(): string[]
  /** The process that runs the operation dies right after its n-th change from now. */
  dieAfter(changes: number): CommandRunner
}

export const EXTENT_BYTES = 4 * 1024 * 1024

export function createFakeLvm(groupExtents = 100): FakeLvm {
  const groups = [{ name: 'vg0', sizeBytes: groupExtents * EXTENT_BYTES, extentBytes: EXTENT_BYTES }]
  const lvs: FakeLv[] = []
  const add: FakeLvm['add'] = lv => {
    const whole = {
      ...{ group: 'vg0', attributes: '-wi-a-----', sizeBytes: EXTENT_BYTES, tags: [], pool: '', origin: '' },
      ...{ dataPercent: '', ...lv },
    }
    lvs.push(whole)
    return whole
  }
  const run = createScriptedRunner([
    {
      argv: ['lvm', 'fullreport', '...'],
      stdout: () => report({ vg: groups.map(group => vgRow(group, lvs)), lv: lvs.map(lvRow), seg: [] }),
    },
    {
      argv: argv => argv[0] === 'lvs' && argv.includes('chunk_size'),
      stdout: report({ lv: [{ chunk_size: '65536' }] }),
    },
    { argv: argv => CHANGING.has(argv[0] ?? ''), onCall: argv => apply(argv, lvs, add) },
  ])
  const changes = () =>
    run.calls.map(call => call.argv.join(' ')).filter(line => CHANGING.has(line.split(' ')[0] ?? ''))
  return {
    run,
    lvs,
    groups,
    add,
    changes,
    dieAfter(count) {
      let left = count
      return {
        ...run,
        run: async (argv, options) => {
          if (left === 0) throw new Error('killed')
          left -= 1
          return await run.run(argv, options)
        },
      }
    },
  }
}

const CHANGING = new Set(['lvcreate', 'lvremove', 'lvrename', 'lvchange'])
const report = (part: object) => JSON.stringify({ report: [part], log: [] })

function vgRow(group: FakeLvm['groups'][number], lvs: readonly FakeLv[]) {
  const used = lvs
    .filter(lv => lv.group === group.name && lv.pool === '')
    .reduce((sum, lv) => sum + lv.sizeBytes, 0)
  return {
    vg_name: group.name,
    vg_size: String(group.sizeBytes),
    vg_free: String(group.sizeBytes - used),
    vg_extent_size: String(group.extentBytes),
  }
}

const lvRow = (lv: FakeLv) => ({
  vg_name: lv.group,
  lv_name: lv.name,
  lv_attr: lv.attributes,
  lv_size: String(lv.sizeBytes),
  lv_tags: lv.tags.join(','),
  pool_lv: lv.pool,
  origin: lv.origin,
  data_percent: lv.dataPercent,
  metadata_percent: '',
  lv_kernel_minor: '9',
})

function apply(argv: readonly string[], lvs: FakeLv[], add: FakeLvm['add']): void {
  const option = (name: string) => argv.flatMap((word, index) => (argv[index - 1] === name ? [word] : []))
  const last = argv.at(-1) ?? ''
  const find = (name: string) => {
    const lv = lvs.find(candidate => `${candidate.group}/${candidate.name}` === name)
    if (lv === undefined) throw new Error(`Failed to find logical volume "${name}"`)
    return lv
  }
  if (argv[0] === 'lvcreate') {
    const pool = option('--thinpool')[0] ?? ''
    const size = Number.parseInt(option('--size')[0] ?? option('--virtualsize')[0] ?? '', 10)
    const attributes = pool === '' ? '-wi-a-----' : 'Vwi-a-tz--'
    add({
      name: option('--name')[0] ?? '',
      group: last,
      sizeBytes: size,
      pool,
      attributes,
      tags: option('--addtag'),
    })
  } else if (argv[0] === 'lvremove') {
    lvs.splice(lvs.indexOf(find(last)), 1)
  } else if (argv[0] === 'lvrename') {
    find(`${argv[1]}/${argv[2]}`).name = argv[3] ?? ''
  } else {
    const lv = find(last)
    lv.tags = [...lv.tags.filter(tag => !option('--deltag').includes(tag)), ...option('--addtag')]
  }
}
