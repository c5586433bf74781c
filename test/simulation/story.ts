import type { Plan } from '../../proto/gen/lifeboat/v1/admin.ts'
import { formatDuration } from '../../shared/domain/units.ts'
import { until } from '../fakes/until.ts'
import type { SimFleet } from './fleet.ts'
import { populate, type RosterEntry } from './roster.ts'
import { judge } from './verdict.ts'

const FAILING = 'blade03'
const NOTHING = { limitMs: 120_000 }

/** How many VMs each blade has, five blades a row: `blade01 ###.  blade02 ####`. */
async function loadLine(fleet: SimFleet): Promise<string> {
  const { blades } = await fleet.admin.ask('listBlades', {})
  const cells = blades.map(blade => `${blade.name} ${'#'.repeat(blade.vms.length).padEnd(blade.maxVms, '.')}`)
  return cells.map((cell, index) => (index === 0 ? '' : index % 5 === 0 ? '\n' : '  ') + cell).join('')
}

async function planOf(fleet: SimFleet, blade: string): Promise<Plan> {
  return await until(
    `a plan for ${blade} is stored`,
    async () => {
      const { operations } = await fleet.admin.ask('listOperations', { all: true, blade, vm: '' })
      const evacuation = operations.find(operation => operation.kind === 'evacuate')
      return evacuation && (await fleet.admin.ask('getPlan', { id: evacuation.plan }))
    },
    NOTHING,
  )
}

/** Where every VM must run when the plan is carried out. */
function expectedPlaces(roster: readonly RosterEntry[], plan: Plan): Map<string, string> {
  const places = new Map(roster.map(({ blade, vm }) => [vm.id, blade]))
  for (const move of plan.moves) places.set(move.vmId, move.to)
  return places
}

/**
 * The story: thirty VMs run, a mirror half on blade03 fails, and the fleet helps itself. `say` gets one line per
 * chapter; what happens between is in the log. Resolves with what went wrong; empty is a happy end.
 */
export async function playStory(
  fleet: SimFleet,
  roster: readonly RosterEntry[],
  say: (line: string) => void,
): Promise<string[]> {
  await populate(fleet, roster)
  await fleet.settled()
  say(`${fleet.bladeNames.length} blades are up, ${roster.length} VMs run`)
  say(await loadLine(fleet))

  say(`--- a disk of ${FAILING} fails: md0 runs on one half ---`)
  fleet.blade(FAILING).fail('mirror')
  const failedAt = fleet.clock.now()
  const since = () => `${formatDuration(fleet.clock.now() - failedAt)} after the failure`

  const alert = await until(
    'an alert names the blade',
    async () => {
      const { alerts } = await fleet.admin.ask('listAlerts', { all: false })
      return alerts.find(({ code, blade }) => code === 'mirror-degraded' && blade === FAILING)
    },
    NOTHING,
  )
  say(`--- alert ${alert.id}, ${since()}: the text for the person on duty ---`)
  say(alert.text)

  const plan = await planOf(fleet, FAILING)
  say(`--- plan ${plan.id}, ${since()} ---`)
  for (const move of plan.moves) {
    say(
      `${move.vm.padEnd(7)} ${move.from} => ${move.to}  ${move.method}, expected pause ${move.expectedDowntimeMs} ms`,
    )
  }
  for (const { vm, reasons } of plan.unplaced)
    say(`${vm} stays: ${reasons.map(({ text }) => text).join('; ')}`)

  await until(
    'the evacuation has ended',
    async () => {
      const { operations } = await fleet.admin.ask('listOperations', { all: false, blade: '', vm: '' })
      return operations.length === 0
    },
    NOTHING,
  )
  say(`--- the end, ${since()} ---`)
  const blade = await fleet.admin.ask('getBlade', { name: FAILING })
  say(`${FAILING} is ${blade.health}${blade.quarantined ? ', quarantined: nothing is placed there' : ''}`)
  say(await loadLine(fleet))
  return [
    ...(await verdict(fleet, roster, plan)),
    ...(blade.quarantined ? [] : [`${FAILING} is not quarantined`]),
  ]
}

async function verdict(fleet: SimFleet, roster: readonly RosterEntry[], plan: Plan): Promise<string[]> {
  const problems = plan.unplaced.map(({ vm }) => `${vm} found no place`)
  if (plan.moves.length === 0) problems.push('the plan has no moves')
  const places = expectedPlaces(roster, plan)
  // The last report of a blade may be a moment younger than the end of the last move.
  const agreed = until(
    'Lifeboat and the hypervisors agree',
    async () => (await judge(fleet, places)).length === 0,
    {
      limitMs: 15_000,
    },
  )
  await agreed.catch(() => undefined)
  return [...problems, ...(await judge(fleet, places))]
}
