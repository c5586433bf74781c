import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { SimVmOptions } from '../../agent/sim/blade.ts'
import type { ControllerConfig } from '../../controller/config.ts'
import type { Alert, Operation } from '../../proto/gen/lifeboat/v1/admin.ts'
import { GIB, MIB } from '../../shared/domain/units.ts'
import { formatLine } from '../fakes/recording-logger.ts'
import { createScaledClock } from '../fakes/scaled-clock.ts'
import { until } from '../fakes/until.ts'
import { createSimFleet, type SimFleet } from './fleet.ts'
import { populate, type RosterEntry, vmIdOf } from './roster.ts'
import { createStoryLog, type StoryLog } from './story-log.ts'
import { judge } from './verdict.ts'

/** Minutes of the fleet play in seconds; more would make the time limits of the probes shorter than a busy host's hiccup. */
const SPEED = 10

/** A fleet that a test tells a story with. */
export interface Scenario {
  readonly fleet: SimFleet
  readonly story: StoryLog
  /** Every logged line, `who level subsystem: text`. */
  readonly lines: readonly string[]
  idOf(vm: string): string
  /** The open alert of that code; waits for it. */
  alert(code: string): Promise<Alert>
  openAlerts(): Promise<readonly Alert[]>
  /** Waits until no operation is under way, and one of that kind has been. */
  ended(kind: string): Promise<Operation>
  operation(id: string): Promise<Operation>
  until<Value>(what: string, look: () => Promise<Value | undefined | false>): Promise<Value>
  /** Waits until every VM runs where it should and on no other blade, Lifeboat says so, and no step was lost. */
  allRunOn(places: Readonly<Record<string, string>>): Promise<void>
}

export interface ScenarioOptions {
  readonly blades: number
  /** VM → blade. Each has one thin volume, unless `vms` says otherwise. */
  readonly vms: Readonly<Record<string, string>>
  readonly shape?: Readonly<Record<string, Partial<SimVmOptions>>>
  readonly evacuation?: Partial<ControllerConfig['evacuation']>
  /** With a vault that backups go to, by these settings besides the defaults. */
  readonly backup?: Partial<ControllerConfig['backup']>
}

function rosterOf(options: ScenarioOptions): RosterEntry[] {
  return Object.entries(options.vms).map(([name, blade], index) => ({
    blade,
    vm: {
      id: vmIdOf(index + 1),
      name,
      memoryBytes: GIB,
      volumes: [{ kind: 'thin', sizeBytes: 4 * MIB }],
      ...options.shape?.[name],
    },
  }))
}

/** A settled fleet with its VMs; closed when the test ends. One move at a time, so that the story has one order. */
export async function createScenario(t: TestContext, options: ScenarioOptions): Promise<Scenario> {
  const story = createStoryLog()
  const lines: string[] = []
  const fleet = await createSimFleet({
    blades: options.blades,
    clock: createScaledClock(SPEED),
    configure: config => ({
      ...config,
      evacuation: { ...config.evacuation, concurrentPerSource: 1, holdMs: 10_000, ...options.evacuation },
      backup: { ...config.backup, ...options.backup },
    }),
    vault: options.backup !== undefined,
    onLine: (who, line) => {
      lines.push(`${who} ${line.level} ${line.subsystem}: ${formatLine(line)}`)
      story.take(who, line)
    },
  })
  t.after(() => fleet.close())
  const roster = rosterOf(options)
  await populate(fleet, roster)
  await fleet.settled()
  if (options.backup !== undefined) {
    await until('the controller has seen the vault', async () =>
      (await fleet.admin.ask('listVaults', {})).vaults.every(vault => vault.reachable),
    )
  }

  const wait = <Value>(what: string, look: () => Promise<Value | undefined | false>) =>
    until(what, look, { describe: () => lines.slice(-40).join('\n') })
  const idOf = (name: string) => {
    const entry = roster.find(({ vm }) => vm.name === name)
    assert.ok(entry, `no VM ${name} in this scenario`)
    return entry.vm.id
  }
  const openAlerts = async () => (await fleet.admin.ask('listAlerts', { all: false })).alerts
  const operations = async (all: boolean) =>
    (await fleet.admin.ask('listOperations', { all, blade: '', vm: '' })).operations

  return {
    fleet,
    story,
    lines,
    idOf,
    openAlerts,
    alert: code =>
      wait(`there is an alert ${code}`, async () => (await openAlerts()).find(alert => alert.code === code)),
    ended: kind =>
      wait(`an operation ${kind} has ended`, async () => {
        if ((await operations(false)).length > 0) return undefined
        return (await operations(true)).find(operation => operation.kind === kind && operation.endedAt > 0)
      }),
    operation: id => fleet.admin.ask('getOperation', { id }),
    until: wait,
    async allRunOn(places) {
      const expected = new Map(Object.entries(places).map(([name, blade]) => [idOf(name), blade]))
      await wait(
        'every VM runs where it should',
        async () => (await judge(fleet, expected)).length === 0,
      ).catch(async error => {
        assert.deepEqual(await judge(fleet, expected), [], String(error))
      })
    },
  }
}
