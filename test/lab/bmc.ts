import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from './errors.ts'
import { CHASSIS_BMC_ADDRESS, NAMESPACE } from './hosts.ts'
import { ip } from './network.ts'
import { RUN_DIR } from './place.ts'
import { run, tail } from './run.ts'
import { BMC_PASSWORD, BMC_USER, POWER_SUPPLIES } from './settings.ts'
import { killProcess, liveProcess, recordProcess } from './uml/process-record.ts'
import { waitFor } from './wait.ts'

const NAME = 'chassis-bmc'
const FOLDER = join(RUN_DIR, NAME)

/** Sensor values of a power supply: bit 0 present, bit 1 failure detected. */
const SUPPLY_STATES = { ok: 1, failed: 3 } as const

/** Starts the simulated management controller of the chassis, with all its power supplies in order. */
export async function startBmc(): Promise<void> {
  if (liveProcess(NAME) !== undefined) return
  mkdirSync(join(FOLDER, 'state'), { recursive: true })
  await connectBmc()
  for (let n = 1; n <= POWER_SUPPLIES; n++) setSupply(n, 'ok')
  writeFileSync(join(FOLDER, 'lan.conf'), lanConfiguration())
  writeFileSync(join(FOLDER, 'sensors.emu'), sensorCommands())
  const log = openSync(join(FOLDER, 'log'), 'a')
  const simulator = ['ipmi_sim', '-n', '-c', join(FOLDER, 'lan.conf'), '-f', join(FOLDER, 'sensors.emu')]
  const child = spawn('ip', ['netns', 'exec', NAMESPACE, ...simulator, '-s', join(FOLDER, 'state')], {
    detached: true,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  recordProcess(NAME, child.pid)
  child.unref()
  await waitFor(
    'answer of the chassis BMC',
    async () => (await readSupplies()).length === POWER_SUPPLIES,
    15_000,
  )
}

/** Ends the simulator. */
export async function stopBmc(): Promise<boolean> {
  return killProcess(NAME, 'SIGTERM').catch(() => killProcess(NAME))
}

/** Sets the state of one power supply; the sensor shows it within a second. */
export function setSupply(number: number, state: keyof typeof SUPPLY_STATES): void {
  if (!Number.isInteger(number) || number < 1 || number > POWER_SUPPLIES) {
    throw new LabError(`the chassis has power supplies 1 to ${POWER_SUPPLIES}, not ${number}`)
  }
  writeFileSync(join(FOLDER, `psu${number}`), `${SUPPLY_STATES[state]}\n`)
}

/** Takes the BMC off the network: silence, as from a hung or unplugged one. */
export async function disconnectBmc(): Promise<void> {
  if (await isConnected()) await ip('addr', 'del', `${CHASSIS_BMC_ADDRESS}/24`, 'dev', 'oob')
}

/** Puts the BMC on the network (again); the simulator's socket outlives its address. */
export async function connectBmc(): Promise<void> {
  if (!(await isConnected())) await ip('addr', 'add', `${CHASSIS_BMC_ADDRESS}/24`, 'dev', 'oob')
}

/** What ipmitool says of the power supplies, one line each, as `PS1 Status,51h,ok,10.1,Presence detected`. */
export async function readSupplies(): Promise<string[]> {
  // -C 3: with its default cipher suite ipmitool takes 10 s a call against this simulator, with this one 0.2 s
  const login = ['-I', 'lanplus', '-H', CHASSIS_BMC_ADDRESS, '-U', BMC_USER, '-P', BMC_PASSWORD, '-C', '3']
  const argv = ['ip', 'netns', 'exec', NAMESPACE, 'ipmitool', ...login, '-c', 'sdr', 'type', 'Power Supply']
  const result = await run(argv, { timeoutMs: 15_000 })
  if (result.code !== 0) throw new LabError(`the chassis BMC does not answer: ${tail(result, 2)}`)
  return result.stdout.toString('utf8').trim().split('\n').filter(Boolean)
}

async function isConnected(): Promise<boolean> {
  return (await ip('-o', 'addr', 'show', 'dev', 'oob')).includes(`${CHASSIS_BMC_ADDRESS}/`)
}

function lanConfiguration(): string {
  const kinds = ['callback', 'user', 'operator', 'admin']
  return [
    'name "chassis1"',
    'set_working_mc 0x20',
    '  startlan 1',
    `    addr ${CHASSIS_BMC_ADDRESS} 623`,
    '    priv_limit admin',
    ...kinds.map(kind => `    allowed_auths_${kind} none md2 md5 straight`),
    '    guid a123456789abcdefa123456789abcde1',
    '  endlan',
    '  user 1 true "" "" user 10 none md2 md5 straight',
    `  user 2 true "${BMC_USER}" "${BMC_PASSWORD}" admin 10 none md2 md5 straight`,
    '',
  ].join('\n')
}

/** The simulator's start-up commands: one sensor and one compact sensor record for each power supply. */
function sensorCommands(): string {
  const hex = (value: number) => `0x${value.toString(16).padStart(2, '0')}`
  const lines = [
    'mc_setbmc 0x20',
    'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02 persist_sdr',
    'sel_enable 0x20 1000 0x0a',
  ]
  for (let n = 1; n <= POWER_SUPPLIES; n++) {
    const sensor = 0x50 + n
    const name = Buffer.from(`PS${n} Status`)
    lines.push(
      `sensor_add 0x20 0 ${hex(sensor)} 0x08 0x6f poll 500 file "${join(FOLDER, `psu${n}`)}"`,
      `sensor_set_event_support 0x20 0 ${hex(sensor)} enable scanning per-state${' 000000011111111'.repeat(4)}`,
    )
    // Compact record: owner 20h, entity 0ah.n (power supply), sensor type 08h (power supply), reading type 6fh
    const record = [
      n,
      0x00,
      0x51,
      0x02,
      27 + name.length,
      0x20,
      0x00,
      sensor,
      0x0a,
      n,
      0x67,
      0x40,
      0x08,
      0x6f,
    ]
      .concat([0xff, 0x00, 0xff, 0x00, 0xff, 0x00, 0xc0, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0])
      .concat([0xc0 | name.length, ...name])
    lines.push(`main_sdr_add 0x20 ${record.map(hex).join(' ')}`)
  }
  return [...lines, 'mc_enable 0x20', ''].join('\n')
}
