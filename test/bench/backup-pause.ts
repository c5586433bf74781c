import { type Lab, openLab } from '../lab/lab.ts'
import type { GuestSetting } from '../lab/settings.ts'
import { bundleForBlades, NODE_ON_BLADES } from '../lab/stories/support/bundle.ts'

const BLADE = 'blade03'
const MEDIAN_LIMIT = 1.1
const P99_LIMIT = 1.5
const LIMIT_MS = 3_600_000

const KINDS: readonly { readonly kind: string; readonly guest: GuestSetting }[] = [
  { kind: 'thin', guest: guest([{ name: 'bench01', sizeMiB: 64, thin: true }]) },
  { kind: 'thick', guest: guest([{ name: 'bench01', sizeMiB: 64, thin: false }]) },
  {
    kind: 'two volumes',
    guest: guest([
      { name: 'bench01', sizeMiB: 64, thin: false },
      { name: 'bench01-data', sizeMiB: 64, thin: true },
    ]),
  },
]

/** How long the guest stood still in each round, in ms, by the events of its libvirt. */
interface Rounds {
  readonly ours: readonly number[]
  readonly bare: readonly number[]
}

/**
 * The guest's standstill under our engine and under `virsh suspend; lvcreate -s; virsh resume` typed into a shell of the
 * blade, in turn. Both are measured by libvirt's own events, read by the same process, so that neither side counts itself.
 */
export async function comparePauses(rounds: number): Promise<void> {
  const lab = openLab()
  await bundleForBlades(['backup-pause'])
  for (const { kind, guest: setting } of KINDS) {
    await lab.createGuest(setting)
    try {
      report(kind, await measure(lab, setting, rounds))
    } finally {
      await lab.removeGuest(setting)
    }
  }
}

function guest(volumes: GuestSetting['volumes']): GuestSetting {
  return { name: 'bench01', blade: BLADE, memoryMiB: 32, volumes }
}

async function measure(lab: Lab, setting: GuestSetting, rounds: number): Promise<Rounds> {
  const volumes = setting.volumes.map(volume => ({ ...volume, sizeBytes: volume.sizeMiB * 1024 * 1024 }))
  const words = [
    NODE_ON_BLADES,
    '/run/lab-share/on-blade-backup-pause.mjs',
    setting.name,
    JSON.stringify(volumes),
  ]
  const text = await lab.mustExec(BLADE, [...words, String(rounds)], { timeoutMs: LIMIT_MS })
  return JSON.parse(text.trim().split('\n').at(-1) ?? '') as Rounds
}

function report(kind: string, { ours, bare }: Rounds): void {
  const median = at(ours, 0.5) / at(bare, 0.5)
  const p99 = at(ours, 0.99) / at(bare, 0.99)
  const isMet = median <= MEDIAN_LIMIT && p99 <= P99_LIMIT
  console.log(
    [
      `${kind}, ${ours.length} rounds: ours median ${at(ours, 0.5)} ms, p99 ${at(ours, 0.99)} ms;`,
      `bare virsh and lvcreate median ${at(bare, 0.5)} ms, p99 ${at(bare, 0.99)} ms;`,
      `ratio ${median.toFixed(2)} at the median (at most ${MEDIAN_LIMIT}), ${p99.toFixed(2)} at p99 (at most ${P99_LIMIT}):`,
      isMet ? 'met' : 'NOT met',
    ].join(' '),
  )
}

/** The value below which that share of the values lies; of 30, p99 is the largest. */
function at(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other)
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
