import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from '../lab/errors.ts'
import { must } from '../lab/run.ts'
import { measureFloors } from './backup-floor.ts'
import { prepareGround } from './backup-ground.ts'
import { type BenchImages, makeImages } from './backup-images.ts'
import { measureLarge } from './backup-large.ts'
import type { Measured } from './backup-measure.ts'
import { bundlePrograms, type MeasuredBackup, type Programs, startOurs } from './backup-ours.ts'
import { findPeers, type Peer, peerBackup, peerRestore, sizeMib } from './backup-peers.ts'
import { OURS, printFloors, printVerdicts, type Round, type Rounds, type Stages } from './backup-verdicts.ts'

const POINTS = ['20250101T020512Z', '20250102T020512Z'] as const

/** `npm run bench -- backup`: our backup and restore against its peers, interleaved, medians of the rounds. */
export async function compareBackups(rounds: number, withLarge: boolean): Promise<void> {
  const say = (text: string): void => void process.stdout.write(`${text}\n`)
  const cached = await makeImages(say)
  const { peers, resticVersion } = await findPeers(say)
  const ground = await prepareGround(say)
  try {
    const programs = await bundlePrograms(join(ground.folder, 'programs'))
    const images = await copyImages(cached, ground.folder)
    const sum = await sumOf(images.night2)
    say(
      `${rounds} rounds; all of them at nice 10; du counts room on the disk; load of the machine counts too`,
    )
    const found: Rounds = new Map()
    for (let round = 0; round < rounds; round++) {
      const tools = [undefined, ...peers]
      // Whoever is first in one round is last in the next.
      const order = tools.map((_, position) => tools[(position + round) % tools.length])
      for (const peer of order) {
        const name = peer?.name ?? OURS
        const folder = join(ground.folder, `${round}-${name.replaceAll(/\W/g, '')}`)
        const stages =
          peer === undefined
            ? await runOurs(folder, programs, images, sum)
            : await runPeer(peer, folder, images, sum)
        found.set(name, [...(found.get(name) ?? []), stages])
        say(`round ${round + 1} ${name.padEnd(12)} ${describeStages(stages)}`)
      }
    }
    const large = withLarge ? await measureLarge(ground.folder, programs, images, say) : []
    const floors = await measureFloors(ground.folder, images, settled)
    printVerdicts(found, `restic ${resticVersion}`, say)
    printFloors(found, `restic ${resticVersion}`, floors, say)
    for (const line of large) say(line)
  } finally {
    await ground.remove()
  }
}

/** The peers get links to them, which do not reach beyond a file system. */
async function copyImages(images: BenchImages, folder: string): Promise<BenchImages> {
  const copies = { night1: join(folder, 'night1.img'), night2: join(folder, 'night2.img') }
  for (const name of ['night1', 'night2'] as const) {
    await must(['cp', '--sparse=always', images[name], copies[name]], { timeoutMs: 600_000 })
  }
  return copies
}

async function runOurs(folder: string, programs: Programs, images: BenchImages, sum: string): Promise<Round> {
  const ours = await startOurs(folder, programs)
  try {
    const vault = [join(folder, 'vault')]
    const night1 = await settled(() => ours.backup(POINTS[0], images.night1))
    const proof1S = await ours.prove()
    const size1 = await sizeMib(vault)
    const night2 = await settled(() => ours.backup(POINTS[1], images.night2))
    const proof2S = await ours.prove()
    const size2 = await sizeMib(vault)
    const path = join(folder, 'out.img')
    const restore = await settled(() => ours.restore(POINTS[1], path, false))
    const restoredMib = await checkImage(path, sum)
    const unchecked = await settled(() => ours.restore(POINTS[1], path, true))
    await checkImage(path, sum)
    const own = { ...worst(night1, night2, restore), uncheckedS: unchecked.wallS, proof1S, proof2S }
    return { night1, night2, restore, size1, size2, restoredMib, ours: own }
  } finally {
    await ours.close()
  }
}

async function runPeer(peer: Peer, folder: string, images: BenchImages, sum: string): Promise<Round> {
  mkdirSync(folder, { recursive: true })
  await peer.init(folder)
  const night1 = await settled(() => peerBackup(peer, folder, images.night1, 1))
  const night2 = await settled(() => peerBackup(peer, folder, images.night2, 2))
  const restore = await settled(() => peerRestore(peer, folder, 2))
  const restoredMib = await checkImage(restore.path, sum)
  return {
    night1,
    night2,
    restore,
    size1: night1.repositoryMib,
    size2: night2.repositoryMib,
    restoredMib,
    ours: undefined,
  }
}

/**
 * What the one before left to be written is written before the next begins, and nothing is in the page cache: neither is the
 * volume of a VM at night. We read past that cache in any case; with an image in it only the peers would be spared the disk.
 */
async function settled<Result>(work: () => Promise<Result>): Promise<Result> {
  await must(['sync'], { timeoutMs: 600_000 })
  if (process.getuid?.() === 0) writeFileSync('/proc/sys/vm/drop_caches', '1')
  return await work()
}

function worst(
  ...stages: readonly MeasuredBackup[]
): Pick<MeasuredBackup, 'workerPeakMib' | 'vaultPeakMib' | 'loopP99Ms' | 'loopLongestMs'> {
  return {
    workerPeakMib: Math.max(...stages.map(({ workerPeakMib }) => workerPeakMib)),
    vaultPeakMib: Math.max(...stages.map(({ vaultPeakMib }) => vaultPeakMib)),
    loopP99Ms: Math.max(...stages.map(({ loopP99Ms }) => loopP99Ms)),
    loopLongestMs: Math.max(...stages.map(({ loopLongestMs }) => loopLongestMs)),
  }
}

async function sumOf(path: string): Promise<string> {
  return (await must(['sha256sum', path], { timeoutMs: 600_000 })).split(' ')[0] ?? ''
}

/** Throws unless the image is that of the second night; returns what it takes on the disk, and removes it. */
async function checkImage(path: string, sum: string): Promise<number> {
  if ((await sumOf(path)) !== sum) throw new LabError(`${path} is not what was backed up`)
  const mib = await sizeMib([path])
  rmSync(path)
  return mib
}

function describeStages(round: Round): string {
  const stage = (name: keyof Stages): string => {
    const { wallS, cpuS } = round[name] as Measured
    return `${name} ${wallS.toFixed(1)} s, CPU ${cpuS.toFixed(1)} s`
  }
  const sizes = `${round.size1.toFixed(0)} +${(round.size2 - round.size1).toFixed(0)} MiB`
  return `${stage('night1')} · ${stage('night2')} · ${stage('restore')} · ${sizes}`
}
