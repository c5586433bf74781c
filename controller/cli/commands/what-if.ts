import type { Command } from 'commander'
import type { Move, WhatIfReport } from '../../../proto/gen/lifeboat/v1/admin.ts'
import { formatBytes } from '../../../shared/domain/units.ts'
import { renderFleetRoom, renderLoads, renderRelief, renderUnplaced } from '../capacity-text.ts'
import { type CliContext, show } from '../context.ts'
import { EXIT_CODES } from '../exit-codes.ts'
import { collect } from '../options.ts'
import { renderNPlusOne, renderTable } from '../render.ts'
import { readWhatIf, WHAT_IF_EXAMPLES } from '../what-if-input.ts'

const VM_KEYS = 'mem=8G[,disk=100G…][,vcpus=2][,count=3][,name=…][,pool=vg0][,net=br0]'
const BLADE_KEYS = 'like=blade01[,mem=256G][,count=2][,name=…][,max-vms=6][,chassis=…]'

/** `lifeboat what-if` */
export function addWhatIfCommand(program: Command, context: CliContext): void {
  program
    .command('what-if')
    .description('would everything fit if blades went, or VMs and blades came? Changes nothing')
    .option('--remove <blades...>', 'blades that go', [])
    .option('--add-vm <description>', `VMs that come: ${VM_KEYS}; may be given again`, collect, [])
    .option('--add-blade <description>', `blades that come: ${BLADE_KEYS}; may be given again`, collect, [])
    .addHelpText(
      'after',
      `\nEnds with 0 if all VMs find a place, with 2 if not, with 3 if a blade named is not there.\n\nExamples:\n${WHAT_IF_EXAMPLES.map(each => `  ${each}`).join('\n')}`,
    )
    .action(async (options: { remove: string[]; addVm: string[]; addBlade: string[] }) => {
      const report = await context.admin().ask('whatIf', readWhatIf(options))
      show(context, report, found => renderWhatIf(found, context.alarming))
      if (!report.fits) context.exitWith(EXIT_CODES.doesNotFit)
    })
}

function renderWhatIf(report: WhatIfReport, alarming: (text: string) => string): string {
  const { moves, nPlusOneBefore: before, nPlusOneAfter: after, roomAfter } = report
  const headline = `The fleet ${report.changes.join(', ')}: ${report.text}.`
  return [
    report.fits ? headline : alarming(headline),
    ...(report.unplaced.length === 0 ? [] : renderUnplaced(report.unplaced)),
    ...renderRelief(report.relief),
    ...(moves.length === 0 ? [] : ['', renderPlaces(moves)]),
    '',
    // What finds no place is in none of the figures, nor in the sentence about N+1: said, or they look better than they are.
    report.fits ? 'Afterwards:' : 'Afterwards, without those that find no place:',
    ...(roomAfter === undefined ? [] : renderFleetRoom(roomAfter)),
    '',
    renderLoads(report.after),
    '',
    ...(before === undefined ? [] : [`Now:        ${renderNPlusOne(before)}`]),
    ...(after === undefined
      ? []
      : [`Afterwards: ${renderNPlusOne(after, report.fits ? '' : 'without those ')}`]),
  ].join('\n')
}

function renderPlaces(moves: readonly Move[]): string {
  return renderTable<Move>(
    [
      { title: 'VM', value: move => move.vm },
      { title: 'FROM', value: move => move.from || 'new' },
      { title: 'TO', value: move => move.to },
      { title: 'METHOD', value: move => move.method },
      { title: 'MEMORY', value: move => formatBytes(move.memoryBytes), align: 'right' },
      { title: 'VOLUMES', value: move => formatBytes(move.volumeBytes), align: 'right' },
    ],
    moves,
    '',
  )
}
