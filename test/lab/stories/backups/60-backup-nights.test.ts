import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { PointSummary } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import { openLab } from '../../lab.ts'
import { GUESTS, type GuestSetting } from '../../settings.ts'
import { exportedRing, ownSnapshots, points } from '../support/backups.ts'
import { ALL_GUESTS, assertSound, calm, place, vm } from '../support/fleet.ts'
import { scheduleNightly, scheduleNone } from '../support/nightly.ts'
import { beginWitness, endWitness, longestSilence, ordinarySilence } from '../support/witness.ts'

const lab = openLab()
const BLADES = ['blade01', 'blade02']
/** With them there are eight VMs: four on each of two blades. */
const EXTRA: readonly GuestSetting[] = [
  { name: 'app01', blade: 'blade02', memoryMiB: 32, volumes: [{ name: 'app01', sizeMiB: 32, thin: false }] },
  { name: 'app02', blade: 'blade02', memoryMiB: 32, volumes: [{ name: 'app02', sizeMiB: 32, thin: true }] },
]
const HOMES: Readonly<Record<string, string>> = {
  mail01: 'blade01',
  web01: 'blade01',
  db01: 'blade01',
  dns01: 'blade01',
  wiki01: 'blade02',
  print01: 'blade02',
  app01: 'blade02',
  app02: 'blade02',
}
const VMS = Object.keys(HOMES)
const THIN = ['web01', 'print01', 'app02']
const NIGHTS = 2
/** Around the moment of a snapshot: what belongs to it, by clocks of blades that are one clock here. */
const AROUND_MS = 10_000
const NIGHT_LIMIT_MS = 480_000

before(async () => {
  await calm(lab)
  await place(lab, Object.fromEntries(GUESTS.map(({ name }) => [name, HOMES[name] ?? 'blade01'])))
  for (const guest of EXTRA) await lab.createGuest(guest)
  await lab.waitFor('all eight VMs', async () => (await running()).length === VMS.length, 60_000)
  for (const name of VMS) await beginWitness(lab, home(name), name)
})

after(async () => {
  await scheduleNone(lab)
  for (const guest of EXTRA) await lab.removeGuest(guest)
})

const home = (name: string) => HOMES[name] ?? ''

async function running(): Promise<string[]> {
  const seen = await lab.cliJson<{ name: string; state: string }[]>(['vm', 'list'])
  return VMS.filter(name => seen.some(each => each.name === name && each.state === 'running'))
}

/** All restore points of the eight, when each VM has that many. */
async function afterNight(night: number): Promise<PointSummary[]> {
  return lab.waitFor(
    `night ${night} of all eight VMs`,
    async () => {
      const all = (await points(lab)).filter(each => VMS.includes(each.vm))
      return VMS.every(name => all.filter(each => each.vm === name).length === night) && all
    },
    NIGHT_LIMIT_MS,
  )
}

for (let night = 1; night <= NIGHTS; night++) {
  test(`night ${night}: by their schedule eight VMs on two blades are backed up, whole, and no snapshot stays`, async () => {
    await scheduleNightly(lab)
    const all = await afterNight(night)
    for (const each of all) assert.equal(each.state, 'whole', `${each.vm}@${each.point}: ${each.stateText}`)
    const newest = VMS.map(name => all.filter(each => each.vm === name).sort(byPoint)[0] as PointSummary)
    assert.deepEqual([...new Set(newest.map(each => each.consistency))], ['paused'])
    const pauses = newest.map(
      ({ vm: name, pauseMs, sentBytes }) => `${name} ${pauseMs} ms, ${sentBytes} B sent`,
    )
    console.log(`night ${night}: ${pauses.join('; ')}`)
    for (const blade of BLADES)
      assert.deepEqual(await ownSnapshots(lab, blade), [], `${blade} has snapshots left`)
  })
}

/** What one guest's serial line says of its restore points. */
interface Night {
  readonly name: string
  readonly points: readonly PointSummary[]
  /** The longest silence around each of them, ms. */
  readonly silences: readonly number[]
  /** And the longest at any other time. */
  readonly ordinary: number
}

const byPoint = (a: PointSummary, b: PointSummary) => b.point.localeCompare(a.point)

test('the second night sends what changed, and of thin volumes reads no more than that', async () => {
  const all = await points(lab)
  for (const name of VMS) {
    const [second, first] = all.filter(each => each.vm === name).sort(byPoint)
    assert.ok(second !== undefined && first !== undefined)
    assert.ok(second.sentBytes * 100 < second.sizeBytes, `${name}: ${second.sentBytes} B sent`)
    if (!THIN.includes(name)) continue
    assert.ok(
      second.readBytes < first.readBytes,
      `${name}: ${second.readBytes} B read, ${first.readBytes} B before`,
    )
  }
})

test('no guest stood still for longer than its pause: the serial lines have no other gap', async () => {
  const all = await points(lab)
  const nights: Night[] = []
  for (const name of VMS) {
    const witness = await endWitness(lab, home(name), name)
    const own = all.filter(each => each.vm === name)
    const times = own.map(({ at }) => ({ fromMs: at - AROUND_MS, toMs: at + AROUND_MS }))
    const silences = times.map(({ fromMs, toMs }) => longestSilence(witness, fromMs, toMs))
    nights.push({ name, points: own, silences, ordinary: ordinarySilence(witness, times) })
  }
  // What the guests miss by themselves is known from the times away from their own backups. All share one machine, so it
  // is one figure: that of a single guest depends on whether the machine's worst moment met it in its own ten minutes.
  const ordinary = Math.max(...nights.map(each => each.ordinary))
  for (const { name, points: own, silences } of nights) {
    for (const [i, { pauseMs, point }] of own.entries()) {
      const silence = silences[i] ?? 0
      const figures = `${name}@${point}: pause ${pauseMs} ms, silent ${silence} ms, otherwise at most ${ordinary} ms`
      console.log(figures)
      assert.ok(silence > 0, `${figures}: nothing was printed around it`)
      assert.ok(silence <= pauseMs + ordinary, figures)
      assert.ok(pauseMs < 5000, figures)
    }
  }
  await assertSound(lab, [...ALL_GUESTS, ...EXTRA.map(guest => guest.name)])
})

test('every restore point of both nights holds every step its guest had written by then', async () => {
  const all = (await points(lab)).filter(each => VMS.includes(each.vm))
  assert.equal(all.length, NIGHTS * VMS.length)
  for (const { vm: name, point, disks } of all) {
    for (const { target } of disks) {
      const ring = await exportedRing(lab, `${name}@${point}`, target)
      assert.deepEqual([ring.name, ring.badCount], [name, 0], `${name}@${point} ${target}`)
      assert.ok(ring.last > 0, `${name}@${point} ${target} is empty`)
    }
  }
  const first = all.filter(each => each.vm === 'db01')
  assert.ok(
    first.every(each => each.disks.length === 2),
    'db01 has two disks in every restore point',
  )
  assert.equal((await vm(lab, 'db01')).backup?.newest, [...first].sort(byPoint)[0]?.point)
})
