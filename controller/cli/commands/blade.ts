import type { Command } from 'commander'
import type { Blade, BladeList } from '../../../proto/gen/lifeboat/v1/admin.ts'
import type { Fact } from '../../../proto/gen/lifeboat/v1/types.ts'
import { formatBytes } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { type CliContext, show } from '../context.ts'
import { collect, wholeNumber } from '../options.ts'
import { renderAge, renderSection, renderShare, renderTable, renderTime } from '../render.ts'

/** `lifeboat blade …`: enrolment, admin state, what a blade has and how it is. */
export function addBladeCommands(program: Command, context: CliContext): void {
  const blade = program.command('blade').description('the machines that run VMs')
  addReading(blade, context)
  addEnrolling(blade, context)
  addAdminStates(blade, context)
}

function addReading(blade: Command, context: CliContext): void {
  blade
    .command('list')
    .description('every blade with its three axes: admin, health, liveness')
    .addHelpText('after', '\nExamples:\n  lifeboat blade list\n  lifeboat blade list --output json')
    .action(async () => {
      const answer = await context.admin().ask('listBlades', {})
      if (context.json()) context.print(JSON.stringify(answer.blades, undefined, 2))
      else context.print(renderBlades(answer, context.now()))
    })
  blade
    .command('show <blade>')
    .description('one blade: hardware facts, capacity, VMs, and why its health is what it is')
    .addHelpText('after', '\nExample:\n  lifeboat blade show blade03')
    .action(async (name: string) => {
      show(context, await context.admin().ask('getBlade', { name }), found =>
        renderBlade(found, context.now()),
      )
    })
}

function addEnrolling(blade: Command, context: CliContext): void {
  blade
    .command('add <blade>')
    .description('announce a blade and print the one-time token that lets it join')
    .option('--chassis <name>', 'the chassis it sits in', '')
    .option('--slot <number>', 'its slot', wholeNumber, 0)
    .option('--feed <name>', 'a power feed of it (repeat)', collect, [])
    .option('--switch <name>', 'a switch it is connected to (repeat)', collect, [])
    .option('--token-ttl <minutes>', 'how long the token is good (an hour, unless given)', wholeNumber, 0)
    .addHelpText(
      'after',
      '\nExample:\n  lifeboat blade add blade03 --chassis chassis1 --slot 3 --feed A --feed B --switch swA --switch swB',
    )
    .action(async (name: string, options: AddOptions) => {
      const { chassis, slot, feed, tokenTtl } = options
      const request = {
        name,
        chassis,
        slot,
        feeds: feed,
        switches: options.switch,
        tokenTtlMinutes: tokenTtl,
      }
      show(context, await context.admin().ask('addBlade', request), added =>
        [
          `${added.name} may join until ${renderTime(added.expiresAt)}. On the blade, as root, type:`,
          '',
          `  ${added.joinCommand}`,
        ].join('\n'),
      )
    })
  blade
    .command('set <blade>')
    .description('change what is known of a blade')
    .option('--chassis <name>', 'the chassis it sits in')
    .option('--slot <number>', 'its slot', wholeNumber)
    .option('--feed <name>', 'a power feed of it (repeat; replaces the list)', collect, [])
    .option('--switch <name>', 'a switch (repeat; replaces the list)', collect, [])
    .option('--max-vms <number>', 'how many VMs it may run', wholeNumber)
    .option('--new-baseline', 'from now on expect the hardware that it reports now')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat blade set blade03 --max-vms 5\n  lifeboat blade set blade03 --new-baseline',
    )
    .action(async (name: string, options: SetOptions) => {
      const { chassis, slot, maxVms, feed, newBaseline = false } = options
      const request = { name, chassis, slot, maxVms, feeds: feed, switches: options.switch, newBaseline }
      if (Object.values({ ...request, name: '' }).every(isNothing)) {
        throw new LifeboatError('bad-input', `nothing to set; lifeboat blade set --help shows the options`)
      }
      show(context, await context.admin().ask('setBlade', request), found =>
        renderBlade(found, context.now()),
      )
    })
  blade
    .command('remove <blade>')
    .description('forget a blade; its certificate is refused from then on. Its VMs are not touched')
    .addHelpText('after', '\nExample:\n  lifeboat blade remove blade03')
    .action(async (name: string) => {
      show(
        context,
        await context.admin().ask('removeBlade', { name }),
        () => `${name} is removed; on it, type: systemctl disable --now lifeboat-agent`,
      )
    })
}

function isNothing(value: unknown): boolean {
  return (
    value === undefined || value === false || value === '' || (Array.isArray(value) && value.length === 0)
  )
}

interface AddOptions {
  readonly chassis: string
  readonly slot: number
  readonly feed: string[]
  readonly switch: string[]
  readonly tokenTtl: number
}
interface SetOptions {
  readonly chassis?: string
  readonly slot?: number
  readonly feed: string[]
  readonly switch: string[]
  readonly maxVms?: number
  readonly newBaseline?: boolean
}

function addAdminStates(blade: Command, context: CliContext): void {
  const states = [
    { verb: 'cordon', admin: 'cordoned', text: 'keep its VMs, place no new one on it', why: 'new disk' },
    { verb: 'uncordon', admin: 'in-service', text: 'let it take VMs again', why: 'disk is in' },
    {
      verb: 'maintenance',
      admin: 'maintenance',
      text: 'somebody works on it: cordoned, and its silence is no alert; uncordon ends it',
      why: 'new memory',
    },
  ]
  for (const { verb, admin, text, why } of states) {
    blade
      .command(`${verb} <blade>`)
      .description(text)
      .option('--reason <text>', 'kept with the change', '')
      .addHelpText('after', `\nExample:\n  lifeboat blade ${verb} blade03 --reason "${why}"`)
      .action(async (name: string, options: { reason: string }) => {
        const changed = await context.admin().ask('setBladeAdmin', { name, admin, reason: options.reason })
        show(context, changed, renderAdmin)
      })
  }
}

/** Its health is another axis: one that is let in again may still be kept from new VMs by that. */
function renderAdmin({ name, admin, health, quarantined, reasons }: Blade): string {
  const line = `${name} is ${admin}`
  if (admin !== 'in-service' || !quarantined) return line
  const why = reasons.length === 0 ? '' : `: ${reasons.join('; ')}`
  return `${line}\nIt takes no VMs yet: its health is ${health} (quarantined)${why}. See: lifeboat blade show ${name}`
}

function renderBlades(answer: BladeList, now: number): string {
  return renderTable<Blade>(
    [
      { title: 'BLADE', value: blade => blade.name },
      { title: 'ADMIN', value: blade => blade.admin },
      {
        title: 'HEALTH',
        value: blade => (blade.quarantined ? `${blade.health} (quarantined)` : blade.health),
      },
      { title: 'LIVENESS', value: blade => (blade.enrolment === 'waiting' ? 'not joined' : blade.liveness) },
      { title: 'VMS', value: blade => `${blade.vms.length}/${blade.maxVms}`, align: 'right' },
      {
        title: 'MEMORY',
        value: blade => renderShare(blade.memoryUsedBytes, blade.capacity?.memoryBytes ?? 0),
      },
      { title: 'CHASSIS', value: blade => (blade.chassis === '' ? '' : `${blade.chassis}/${blade.slot}`) },
      { title: 'REPORT', value: blade => renderAge(blade.lastReportAt, now) },
    ],
    answer.blades,
    'No blades yet. Announce the first: lifeboat blade add blade01',
  )
}

function renderBlade(blade: Blade, now: number): string {
  const pools = (blade.capacity?.pools ?? []).map(
    pool =>
      `${pool.name} (${pool.storage}): ${formatBytes(pool.freeBytes)} free of ${formatBytes(pool.sizeBytes)}${pool.reclaimableBytes > 0 ? `, ${formatBytes(pool.reclaimableBytes)} kept of moved VMs` : ''}`,
  )
  return [
    `${blade.name}: ${blade.admin}, ${blade.health}${blade.quarantined ? ' (quarantined: nothing new is placed here)' : ''}, ${blade.liveness}`,
    `  chassis ${blade.chassis || '-'} slot ${blade.slot}, feeds ${blade.feeds.join(' ') || '-'}, switches ${blade.switches.join(' ') || '-'}`,
    `  agent ${blade.agentVersion || '-'} at ${blade.address || '-'}, last report ${renderAge(blade.lastReportAt, now)}`,
    `  memory ${renderShare(blade.memoryUsedBytes, blade.capacity?.memoryBytes ?? 0) || '-'}, VMs ${blade.vms.length} of ${blade.maxVms}: ${blade.vms.join(' ') || '-'}`,
    ...renderSection('Why:', blade.reasons),
    ...renderSection('Storage:', pools),
    ...renderSection('Hardware:', blade.facts.map(renderFact)),
  ].join('\n')
}

function renderFact(fact: Fact): string {
  const kind = fact.kind
  switch (kind?.$case) {
    case 'mirror':
      return `mirror ${kind.value.name}: ${kind.value.members.map(member => `${member.device} ${member.state}`).join(', ')} (expects ${kind.value.expectedMembers}; ${kind.value.activity})`
    case 'bond':
      return `bond ${kind.value.name} (${kind.value.mode}): ${kind.value.members.map(member => `${member.nic} ${member.link}`).join(', ')}`
    case 'power':
      return `power: ${kind.value.supplies.map(supply => `${supply.name} ${supply.state}`).join(', ')}`
    case 'unreadable':
      return `${kind.value.of} ${kind.value.name}: cannot be read: ${kind.value.error}`
    case undefined:
      return 'a fact of a kind this version does not know'
  }
}
