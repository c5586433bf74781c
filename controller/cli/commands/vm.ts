import type { Command } from 'commander'
import type { VmView } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes, plural } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import { renderStanding } from '../backup-text.ts'
import { type CliContext, show } from '../context.ts'
import { collect } from '../options.ts'
import { renderAge, renderSection, renderTable } from '../render.ts'
import { finishOperation } from './operation.ts'

/** `lifeboat vm …`: list, show, start, stop, pause, resume, migrate, tag. */
export function addVmCommands(program: Command, context: CliContext): void {
  const vm = program.command('vm').description('virtual machines')
  addReading(vm, context)
  addChanging(vm, context)
  addMigrating(vm, context)
  addTagging(vm, context)
}

function addReading(vm: Command, context: CliContext): void {
  vm.command('list')
    .description('every VM, where it runs, and its state')
    .option('--blade <name>', 'only those of this blade', '')
    .addHelpText('after', '\nExamples:\n  lifeboat vm list\n  lifeboat vm list --blade blade03 --output json')
    .action(async (options: { blade: string }) => {
      const { vms } = await context.admin().ask('listVms', { blade: options.blade })
      if (context.json()) context.print(JSON.stringify(vms, undefined, 2))
      else context.print(renderVms(vms, options.blade))
    })
  vm.command('show <vm>')
    .description('one VM: volumes, networks, epoch, tags, backups, and what stops it from moving')
    .addHelpText('after', '\nExample:\n  lifeboat vm show mail01')
    .action(async (name: string) => {
      show(context, await context.admin().ask('getVm', { name }), found => renderVm(found, context.now()))
    })
}

function addChanging(vm: Command, context: CliContext): void {
  const actions = [
    { action: 'start', text: 'start a stopped VM where it is' },
    { action: 'stop', text: 'shut a VM down' },
    { action: 'pause', text: 'stop its processors, keep its memory' },
    { action: 'resume', text: 'let a paused VM go on' },
  ]
  for (const { action, text } of actions) {
    const command = vm
      .command(`${action} <vm>`)
      .description(text)
      .option('--no-wait', 'do not wait for the end')
      .addHelpText('after', `\nExample:\n  lifeboat vm ${action} mail01`)
    if (action === 'stop') command.option('--force', 'pull the plug')
    if (action === 'start') command.option('--force', 'although a placement rule forbids it')
    command.action(async (name: string, options: { wait: boolean; force?: boolean }) => {
      const operation = await context.begin('changeVm', { name, action, force: options.force ?? false })
      await finishOperation(context, operation, options.wait)
    })
  }
}

function addMigrating(vm: Command, context: CliContext): void {
  vm.command('migrate <vm>')
    .description('move a VM to another blade; a running one keeps running')
    .option('--to <blade>', 'where; otherwise the best blade', '')
    .option('--override', 'although a placement rule forbids it')
    .option('--no-wait', 'do not wait for the end')
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat vm migrate mail01\n  lifeboat vm migrate mail01 --to blade04',
    )
    .action(async (name: string, options: { to: string; override?: boolean; wait: boolean }) => {
      const request = { name, to: options.to, overrideRules: options.override ?? false, planOnly: false }
      await finishOperation(context, await context.begin('migrateVm', request), options.wait)
    })
}

function addTagging(vm: Command, context: CliContext): void {
  vm.command('tag <vm> [tags...]')
    .description('set tags key=value: backup=pause|freeze|crash|off says how its disks are backed up')
    .option('--remove <key>', 'take a tag away (repeat)', collect, [])
    .addHelpText(
      'after',
      '\nExamples:\n  lifeboat vm tag mail01 backup=freeze\n  lifeboat vm tag mail01 --remove backup\n\nWhat follows from it: lifeboat backup policy explain mail01',
    )
    .action(async (name: string, set: string[], { remove }: { remove: string[] }) => {
      if (set.length === 0 && remove.length === 0) {
        throw new LifeboatError('bad-input', 'no tag given: key=value, or --remove KEY')
      }
      const wrong = set.find(tag => !/^[^=\s]+=\S+$/.test(tag))
      if (wrong !== undefined)
        throw new LifeboatError('bad-input', `'${wrong}' is no tag: key=value is wanted`)
      show(
        context,
        await context.admin().ask('setVmTags', { name, set, remove }),
        found => `${found.name}: ${found.tags.join(' ') || 'no tags'}`,
      )
    })
}

function renderVms(vms: readonly VmView[], blade: string): string {
  return renderTable<VmView>(
    [
      { title: 'VM', value: vm => vm.name },
      { title: 'BLADE', value: vm => vm.blade },
      { title: 'STATE', value: vm => vm.state },
      { title: 'MEMORY', value: vm => formatBytes(vm.memoryBytes), align: 'right' },
      { title: 'VOLUMES', value: vm => formatBytes(vm.volumeBytes), align: 'right' },
      { title: 'EPOCH', value: vm => String(vm.epoch), align: 'right' },
      { title: 'OPERATION', value: vm => vm.operation },
      { title: 'CANNOT MOVE', value: vm => vm.obstacles.map(reason => reason.code).join(' ') },
    ],
    vms,
    blade === ''
      ? 'No VMs. They appear by themselves as soon as a blade with libvirt domains has joined.'
      : `No VM is on ${blade}.`,
  )
}

function renderVm(vm: VmView, now: number): string {
  return [
    `${vm.name}: ${vm.state} on ${vm.blade || '-'}, epoch ${vm.epoch}, seen ${renderAge(vm.seenAt, now)}`,
    `  id ${vm.id}, ${formatBytes(vm.memoryBytes)} of memory, ${plural(vm.vcpus, 'CPU')}, networks ${vm.networks.join(' ') || '-'}`,
    ...renderSection(
      'Volumes:',
      vm.volumes.map(
        volume =>
          `${volume.target}: ${volume.path}, ${formatBytes(volume.sizeBytes)} ${volume.format}, ${volume.storage} in ${volume.pool}`,
      ),
    ),
    ...renderSection(
      'Cannot move as it stands:',
      vm.obstacles.map(reason => `${reason.code}: ${reason.text}`),
    ),
    ...(vm.tags.length === 0 ? [] : ['', `Tags: ${vm.tags.join(' ')}`]),
    ...renderStanding(vm.name, vm.backup, now),
    ...(vm.operation === '' ? [] : ['', `Part of ${vm.operation}: lifeboat operation show ${vm.operation}`]),
  ].join('\n')
}
