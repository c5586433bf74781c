import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createIpmitoolPower } from '../../../../agent/health/power-ipmitool.ts'
import { createPowerProbe } from '../../../../agent/health/power-probe.ts'
import { parseSupplies } from '../../../../agent/health/power-text.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../../../shared/errors.ts'
import { createManualClock } from '../../../fakes/manual-clock.ts'
import { createScriptedRunner } from '../../../fakes/scripted-runner.ts'
import { goldenText } from './golden-files.ts'

const second = (text: string) => parseSupplies(text)[1]

describe('power supplies as ipmitool tells them', () => {
  it('reads every captured state, whatever the status column says', () => {
    assert.deepEqual(parseSupplies(goldenText('ipmi/ok.csv')), [
      { name: 'PS1', state: 'ok' },
      { name: 'PS2', state: 'ok' },
    ])
    assert.equal(second(goldenText('ipmi/failed.csv'))?.state, 'failed')
    assert.equal(second(goldenText('ipmi/aclost.csv'))?.state, 'ac-lost')
    assert.equal(second(goldenText('ipmi/predictive.csv'))?.state, 'predictive-failure')
    assert.equal(second(goldenText('ipmi/absent.csv'))?.state, 'absent')
  })

  it('reads what other BMCs print: watts beside the state, redundancy sensors, empty bays', () => {
    const text = [
      'Power Supply 1,06h,ok,10.1,0 Watts, Presence detected, Failure detected',
      'Power Supply 2,07h,ok,10.2,95 Watts, Presence detected',
      'Power Supplies,08h,ok,10.3,Non-Redundant: Sufficient from Redundant',
      'PS Redundancy,77h,ok,7.1,Fully Redundant',
      'PS1 Input Power,54h,ok,10.1,168 Watts',
      'PSU3 Status,C9h,ok,10.3,Presence detected, AC out-of-range, but present',
      'PSU4 Status,CAh,ok,10.4,Presence detected, Config Error: Vendor Mismatch',
      'PSU5 Status,CBh,ns,10.5,Disabled',
    ].join('\n')
    assert.deepEqual(parseSupplies(text), [
      { name: 'Power Supply 1', state: 'failed' },
      { name: 'Power Supply 2', state: 'ok' },
      { name: 'PSU3', state: 'ac-lost' },
      { name: 'PSU4', state: 'failed' },
      { name: 'PSU5', state: 'absent' },
    ])
  })

  it('no reading and words nobody has foreseen are unreadable, not bad', () => {
    for (const said of ['ns,10.1,No Reading', 'ns,10.1,', 'ok,10.1,Something new']) {
      assert.equal(parseSupplies(`PS1 Status,51h,${said}`)[0]?.state, 'unreadable', said)
    }
  })

  it('a line of another form is an error that shows it', () => {
    for (const line of ['PS1 Status', 'Error in open session', 'PS1 Status,51h,ok,10.1', ',51h,ok,10.1,x']) {
      assert.throws(() => parseSupplies(line), { code: 'bad-tool-output' }, line)
    }
    assert.deepEqual(parseSupplies(''), [])
  })
})

describe('ipmitool', () => {
  const lanplus = {
    method: 'lanplus',
    host: '10.77.1.101',
    user: 'lifeboat',
    passwordFile: '/etc/lifeboat/bmc.password',
    cipherSuite: 3,
  } as const

  it('never has the password in its arguments, and gives up on a dead BMC by itself', async () => {
    const run = createScriptedRunner([{ argv: ['ipmitool', '...'], stdout: goldenText('ipmi/ok.csv') }])
    await createIpmitoolPower({ run, access: lanplus }).supplies()
    const call = run.calls[0]
    assert.equal(
      call?.argv.join(' '),
      'ipmitool -c -I lanplus -H 10.77.1.101 -U lifeboat -f /etc/lifeboat/bmc.password -C 3 -R 1 -N 2 sdr type Power Supply',
    )
    assert.equal(call?.options.timeoutMs, 10_000)
  })

  it('a BMC that does not answer is unavailable, with what ipmitool said as the cause', async () => {
    const stderr = 'Error: Unable to establish IPMI v2 / RMCP+ session'
    const run = createScriptedRunner([{ argv: ['ipmitool', '...'], exitCode: 1, stderr }])
    await assert.rejects(createIpmitoolPower({ run, access: lanplus }).supplies(), error => {
      assert.equal(errorCode(error), 'unavailable')
      assert.match(
        formatErrorChain(error),
        /the BMC at 10\.77\.1\.101 gives no .*: ipmitool exited with 1: .*RMCP/,
      )
      return true
    })
  })

  it('a blade without ipmitool says which package to install', async () => {
    const missing = new LifeboatError('tool-missing', 'ipmitool is not installed: apt install ipmitool')
    const run = createScriptedRunner([{ argv: ['ipmitool', '...'], error: missing }])
    await assert.rejects(createIpmitoolPower({ run, access: { method: 'local' } }).supplies(), error => {
      assert.equal(errorCode(error), 'tool-missing')
      assert.match(formatErrorChain(error), /apt install ipmitool/)
      return true
    })
  })
})

describe('power probe', () => {
  const probe = (supplies: () => Promise<ReturnType<typeof parseSupplies>>) =>
    createPowerProbe({ power: { supplies }, clock: createManualClock(7) })

  it('tells all supplies in one fact', async () => {
    assert.deepEqual(await probe(async () => [{ name: 'PS1', state: 'ac-lost' }]).read(), [
      { kind: 'power', observedAt: 7, supplies: [{ name: 'PS1', state: 'ac-lost' }] },
    ])
  })

  it('one supply without a reading makes an unreadable fact, never a list with one supply less', async () => {
    const facts = await probe(async () => [
      { name: 'PS1', state: 'ok' },
      { name: 'PS2', state: 'unreadable' },
    ]).read()
    assert.deepEqual(facts, [
      {
        kind: 'unreadable',
        observedAt: 7,
        of: 'power',
        name: 'PS2',
        error: 'the BMC gives no reading of PS2',
      },
    ])
  })

  it('a BMC that cannot be asked is one unreadable fact', async () => {
    const facts = await probe(async () => {
      throw new LifeboatError('unavailable', 'the BMC of this blade gives no readings')
    }).read()
    assert.deepEqual(
      facts.map(fact => fact.kind === 'unreadable' && fact.error),
      ['the BMC of this blade gives no readings'],
    )
  })
})
