// `npm run bench -- agent|evacuation`: measurements on the lab that is up, printed against what is aimed at.
import { Command, InvalidArgumentError } from 'commander'
import { describeError, LabError } from '../lab/errors.ts'
import { measureIdleAgents } from './agent.ts'
import { compareBackups } from './backup.ts'
import { comparePauses } from './backup-pause.ts'
import { compareEvacuations } from './evacuation.ts'
import { comparePlacements, type PlacementBenchOptions } from './placement.ts'

const program = new Command('bench').description(
  'Measurements, as ratios or against an aim; all but `backup` and `placement` on the lab that is up (npm run lab -- up).',
)

program
  .command('agent')
  .description('resident memory and CPU of the idle agent on every blade')
  .option('--minutes <count>', 'how long to watch', positive, 5)
  .action(({ minutes }: { minutes: number }) => measureIdleAgents(minutes))

program
  .command('evacuation')
  .description(
    'an evacuation of four VMs against the same moves by bare virsh migrate, alternating which is first',
  )
  .option('--rounds <count>', 'how often', positive, 3)
  .action(({ rounds }: { rounds: number }) => compareEvacuations(Math.ceil(rounds)))

program
  .command('backup')
  .description('two nights and a restore of a 4 GiB image against restic, borg, casync and tar, interleaved')
  .option('--rounds <count>', 'how often', positive, 3)
  .option('--no-large', 'without the volume of 64 GiB')
  .action(({ rounds, large }: { rounds: number; large: boolean }) => compareBackups(Math.ceil(rounds), large))

program
  .command('backup-pause')
  .description(
    'how long a guest stands still for its snapshots against bare virsh suspend, lvcreate -s, virsh resume, in turn',
  )
  .option('--rounds <count>', 'how often', positive, 30)
  .action(({ rounds }: { rounds: number }) => comparePauses(Math.ceil(rounds)))

program
  .command('placement')
  .description(
    'evacuations of random clusters against hail and hbal and an exact reference; times up to 10,000 blades',
  )
  .option('--quick', 'few and small clusters', false)
  .option('--slow', 'hail at 1,000 blades, too', false)
  .action((options: PlacementBenchOptions) => comparePlacements(options))

try {
  await program.parseAsync()
} catch (error) {
  if (!(error instanceof LabError)) throw error
  process.stderr.write(`bench: ${describeError(error)}\n`)
  process.exitCode = 1
}

function positive(text: string): number {
  const count = Number(text)
  if (!(count > 0)) throw new InvalidArgumentError('more than 0')
  return count
}
