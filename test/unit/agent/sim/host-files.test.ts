import assert from 'node:assert/strict'
import { it } from 'node:test'
import { createBondProbe } from '../../../../agent/health/bond.ts'
import { listBridges } from '../../../../agent/health/bridges.ts'
import { createMirrorProbe } from '../../../../agent/health/mirror.ts'
import { createPowerProbe } from '../../../../agent/health/power-probe.ts'
import type { SimBlade } from '../../../../agent/sim/blade.ts'
import { systemClock } from '../../../../shared/clock.ts'
import { createSimWorld } from '../../../fakes/sim-world.ts'

/** What the real probes say of the simulated host, without the times. */
async function facts(blade: SimBlade) {
  const files = blade.hostFiles
  const probes = [
    createMirrorProbe({ files, clock: systemClock }),
    createBondProbe({ files, clock: systemClock }),
    createPowerProbe({ power: blade.power, clock: systemClock }),
  ]
  const all = (await Promise.all(probes.map(probe => probe.read()))).flat()
  return all.map(({ observedAt: _observedAt, ...fact }) => fact)
}

const SOUND = {
  mirror: {
    kind: 'mirror',
    name: 'md0',
    expectedMembers: 2,
    members: [
      { device: 'sda2', state: 'in-sync', errors: 0 },
      { device: 'sdb2', state: 'in-sync', errors: 0 },
    ],
    activity: 'idle',
    progressPercent: 0,
  },
  bond: {
    kind: 'bond',
    name: 'bond0',
    mode: 'active-backup',
    members: [
      { nic: 'eth0', link: 'up', speedMbps: 10_000, partner: 'none' },
      { nic: 'eth1', link: 'up', speedMbps: 10_000, partner: 'none' },
    ],
    activeMember: 'eth0',
  },
  power: {
    kind: 'power',
    supplies: ['PS1', 'PS2', 'PS3', 'PS4'].map(name => ({ name, state: 'ok' })),
  },
}

it('the real probes read a sound simulated host as sound', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const blade = await world.blade('blade01')
  assert.deepEqual(await facts(blade), [SOUND.mirror, SOUND.bond, SOUND.power])
  assert.deepEqual(await listBridges(blade.hostFiles), ['br0'])
})

it('each fault shows in its own fact only, and healing brings the sound host back', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const blade = await world.blade('blade01')
  const [, secondHalf] = SOUND.mirror.members
  const [eth0, eth1] = SOUND.bond.members
  assert.ok(secondHalf && eth0 && eth1)

  blade.fail('disk-errors')
  const sickMembers = [
    { device: 'sda2', state: 'in-sync', errors: 12 },
    { ...secondHalf, state: 'faulty' },
  ]
  assert.deepEqual(await facts(blade), [{ ...SOUND.mirror, members: sickMembers }, SOUND.bond, SOUND.power])
  blade.heal('disk-errors')

  blade.fail('nic-a')
  const bond = {
    ...SOUND.bond,
    members: [{ ...eth0, link: 'down', speedMbps: 0 }, eth1],
    activeMember: 'eth1',
  }
  assert.deepEqual(await facts(blade), [SOUND.mirror, bond, SOUND.power])
  blade.heal('nic-a')

  blade.fail('psu-3')
  const supplies = SOUND.power.supplies.map(({ name, state }) => ({
    name,
    state: name === 'PS3' ? 'failed' : state,
  }))
  assert.deepEqual(await facts(blade), [SOUND.mirror, SOUND.bond, { kind: 'power', supplies }])
  blade.heal('psu-3')
  assert.deepEqual(await facts(blade), [SOUND.mirror, SOUND.bond, SOUND.power])
})

it('a rebuild is seen as such, with its progress', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const blade = await world.blade('blade01')
  const [, lost] = blade.hardware.mirror
  assert.ok(lost)
  lost.state = 'spare'
  blade.hardware.rebuiltPercent = 50
  const [mirror] = await facts(blade)
  assert.ok(mirror?.kind === 'mirror')
  assert.equal(mirror.activity, 'recover')
  assert.equal(Math.round(mirror.progressPercent), 50)
  assert.equal(mirror.members[1]?.state, 'rebuilding')
})

it('what cannot be read is unreadable, for that blade and that sensor only', async t => {
  const world = createSimWorld()
  t.after(() => world.close())
  const blade = await world.blade('blade01')
  const neighbour = await world.blade('blade02')

  blade.fail('mirror-unreadable')
  blade.fail('bmc')
  const seen = (await facts(blade)).map(fact =>
    fact.kind === 'unreadable' ? `${fact.of} ${fact.name}` : fact.kind,
  )
  assert.deepEqual(seen, ['mirror md0', 'bond', 'power '])
  assert.deepEqual((await facts(neighbour))[2], SOUND.power)

  blade.heal('bmc')
  blade.fail('psu-unreadable')
  const seenThere = await facts(neighbour)
  assert.ok(seenThere.some(fact => fact.kind === 'unreadable' && fact.name === 'PS1'))
  assert.ok(
    !seenThere.some(fact => fact.kind === 'power' && fact.supplies.some(({ name }) => name === 'PS1')),
  )
})
