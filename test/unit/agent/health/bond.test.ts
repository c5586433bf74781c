import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createBondProbe } from '../../../../agent/health/bond.ts'
import { parseBondMembers, parseLacp } from '../../../../agent/health/bond-text.ts'
import { listBridges } from '../../../../agent/health/bridges.ts'
import type { BondFact, Fact } from '../../../../shared/domain/health.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { goldenFiles, goldenText } from './golden-files.ts'

const NET = '/sys/class/net'
const LACP = '/proc/net/bonding/bond1'
const BUNDLED = { [LACP]: goldenText('proc/bond-lacp.txt') }

async function read(
  tree: string,
  changes: Record<string, string | undefined> = {},
): Promise<readonly Fact[]> {
  const files = goldenFiles(`proc/${tree}.tree`, { ...BUNDLED, ...changes })
  return await createBondProbe({ files, clock: createManualClock(7) }).read()
}

async function readBond(name: string, tree: string, changes: Record<string, string | undefined> = {}) {
  const fact = (await read(tree, changes)).find(
    candidate => candidate.kind === 'bond' && candidate.name === name,
  )
  assert.ok(fact, `no fact of ${name}`)
  return fact as BondFact
}

describe('bond probe', () => {
  it('reads a sound active-backup bond', async () => {
    assert.deepEqual(await readBond('bond0', 'net-clean'), {
      kind: 'bond',
      observedAt: 7,
      name: 'bond0',
      mode: 'active-backup',
      members: [
        { nic: 'eth0', link: 'up', speedMbps: 10_000, partner: 'none' },
        { nic: 'eth1', link: 'up', speedMbps: 10_000, partner: 'none' },
      ],
      activeMember: 'eth0',
    })
  })

  it('a lost carrier and an interface set down are both a link down', async () => {
    for (const tree of ['net-short', 'net-admin-down']) {
      const { members } = await readBond('bond0', tree)
      assert.deepEqual(
        members.map(({ nic, link }) => `${nic} ${link}`),
        ['eth0 up', 'eth1 down'],
        tree,
      )
    }
  })

  it('without link monitoring the NIC’s carrier tells what the bond does not notice', async () => {
    const { members } = await readBond('bond0', 'net-clean', { [`${NET}/eth1/carrier`]: '0' })
    assert.deepEqual(members[1]?.link, 'down')
  })

  it('a link the bond does not use yet counts as down', async () => {
    const path = `${NET}/eth1/bonding_slave/mii_status`
    assert.equal((await readBond('bond0', 'net-clean', { [path]: 'going back' })).members[1]?.link, 'down')
  })

  it('tells a speed that the driver does not know as 0', async () => {
    for (const speed of ['-1', '!EINVAL']) {
      const { members } = await readBond('bond0', 'net-clean', { [`${NET}/eth1/speed`]: speed })
      assert.equal(members[1]?.speedMbps, 0)
    }
  })

  it('an 802.3ad bond has its partners checked port by port', async () => {
    const partners = (fact: BondFact) => fact.members.map(({ nic, partner }) => `${nic} ${partner}`)
    assert.deepEqual(partners(await readBond('bond1', 'net-clean')), ['eth2 ok', 'eth3 ok'])
    const short = { [LACP]: goldenText('proc/bond-lacp-short.txt') }
    assert.deepEqual(partners(await readBond('bond1', 'net-short', short)), ['eth2 ok', 'eth3 short'])
  })

  it('a bond without members is told as it is', async () => {
    assert.deepEqual((await readBond('empty0', 'net-clean')).members, [])
  })

  it('finds the bonds also where bonding_masters is not shown', async () => {
    const names = (await read('net-clean', { [`${NET}/bonding_masters`]: undefined })).map(
      fact => 'name' in fact && fact.name,
    )
    assert.deepEqual(names, ['bond0', 'bond1', 'empty0'])
  })

  it('half-written text is unreadable with one clear error, and the other bonds are still read', async () => {
    const whole = goldenText('proc/bond-lacp.txt')
    const torn: Record<string, string> = {
      [LACP]: whole.slice(0, whole.length / 2),
      [`${NET}/bond1/bonding/mode`]: '802.3',
      [`${NET}/bond1/bonding/slaves`]: 'eth2 \u0001\u0002',
      [`${NET}/eth2/bonding_slave/mii_status`]: '',
      [`${NET}/eth2/carrier`]: '!EIO',
    }
    for (const [path, text] of Object.entries(torn)) {
      const facts = await read('net-clean', { [path]: text })
      assert.deepEqual(
        facts.map(fact => `${fact.kind} ${'name' in fact ? fact.name : ''}`),
        ['bond bond0', 'unreadable bond1', 'bond empty0'],
        path,
      )
      const error = facts[1]?.kind === 'unreadable' ? facts[1].error : ''
      assert.match(error, new RegExp(path))
    }
  })
})

describe('LACP text', () => {
  it('cut anywhere it is refused or says the same of the members it still shows', () => {
    const whole = goldenText('proc/bond-lacp.txt')
    const all = parseLacp('bond1', whole)
    for (let length = 0; length < whole.length; length += 1) {
      let cut: ReturnType<typeof parseLacp>
      try {
        cut = parseLacp('bond1', whole.slice(0, length))
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'bad-tool-output')
        continue
      }
      assert.ok(
        cut.every((member, index) => member.nic === all[index]?.nic),
        `cut at ${length}`,
      )
    }
  })

  it('a member outside the active aggregator is short however well its partner feels', () => {
    const split = goldenText('proc/bond-lacp.txt').replace(
      /(eth3[\s\S]*?)Aggregator ID: 1/,
      '$1Aggregator ID: 2',
    )
    assert.deepEqual(parseLacp('bond1', split), [
      { nic: 'eth2', partner: 'ok' },
      { nic: 'eth3', partner: 'short' },
    ])
  })

  it('a name that would leave /sys/class/net is refused', () => {
    assert.throws(() => parseBondMembers('slaves', 'eth0 ../../etc\n'), { code: 'bad-tool-output' })
  })
})

it('bridges are the interfaces with a bridge directory', async () => {
  assert.deepEqual(await listBridges(goldenFiles('proc/net-clean.tree')), ['br0'])
})
