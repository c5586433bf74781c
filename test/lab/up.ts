import { mkdirSync } from 'node:fs'
import { startBmc } from './bmc.ts'
import { bootHost, describeTrouble, waitBooted } from './boot.ts'
import { stopEverything } from './down.ts'
import { LabError } from './errors.ts'
import { createGuests, startGuests } from './guest/fleet.ts'
import { bladesOf, DEPOT, type Host, hostsOf } from './hosts.ts'
import { ensureImage, imageDir } from './image/build.ts'
import { ensureNetwork } from './network.ts'
import { eraseDisks, readLabRecord, SHARE_DIR, writeLabRecord } from './place.ts'
import { ensurePrerequisites } from './prerequisites.ts'
import {
  buildPackage,
  enrol,
  enrolVault,
  installPackage,
  startController,
  waitFleetHealthy,
} from './product.ts'
import { phase, say } from './say.ts'
import { isPowered } from './uml/uml.ts'

export interface UpOptions {
  blades: number
  /** Package to install instead of building one. */
  deb?: string
  /** Build the image again even if it is cached. */
  rebuild?: boolean
  /** Start from new disks even if there are some. */
  fresh?: boolean
  /** False: everything but the product. */
  product: boolean
}

/** Brings the lab up, from whatever state it is in, and returns when it can be used. */
export async function up(options: UpOptions): Promise<void> {
  await ensurePrerequisites()
  const running = hostsOf(9).filter(host => isPowered(host.name))
  if (options.rebuild || options.fresh) await stopEverything()
  else if (running.length > 0) say(`already running: ${running.map(host => host.name).join(', ')}`)
  const deb = options.product ? (options.deb ?? (await phase('package', buildPackage))) : undefined

  await ensureNetwork()
  const imageKey = await ensureImage({ rebuild: options.rebuild })
  await settleDisks(options, imageKey)

  const blades = bladesOf(options.blades)
  const hosts = [...blades, DEPOT]
  try {
    mkdirSync(SHARE_DIR, { recursive: true })
    await phase('chassis BMC', startBmc)
    // A host that runs already may still be booting: the `up` that started it may have been interrupted.
    const start = (host: Host) =>
      isPowered(host.name) ? waitBooted(host) : bootHost(host, imageDir(imageKey))
    await phase('boot', () => each(hosts, start))
    await phase('guests', () => each(blades, makeGuests))
    if (deb !== undefined) await setUpProduct(hosts, blades, deb)
  } catch (cause) {
    const trouble = await Promise.all(hosts.map(describeTrouble))
    process.stderr.write(`${trouble.join('\n')}\n`)
    throw new LabError('the lab did not come up; the consoles and journals are above', {
      cause,
      next: 'npm run lab -- down --all',
    })
  }
  say(
    `up: ${hosts.map(host => host.name).join(', ')}; try: npm run lab -- ${options.product ? 'cli status' : 'status'}`,
  )
}

/** Disks are layers over one image; those of another image, or of another number of blades, are of no use. */
async function settleDisks(options: UpOptions, imageKey: string): Promise<void> {
  const old = readLabRecord()
  const { blades, product } = options
  const keep = old?.imageKey === imageKey && old.blades === blades && !options.fresh
  if (old !== undefined && !keep) {
    say('the disks kept from before do not fit (other image, other blades, or --fresh): starting anew')
    await stopEverything()
    await ensureNetwork()
    eraseDisks()
  }
  writeLabRecord({ imageKey, blades, product })
}

async function makeGuests(blade: Host): Promise<void> {
  const made = await createGuests(blade)
  const started = await startGuests(blade)
  for (const name of made) say(`  ${blade.name}: ${name} created and started`)
  for (const name of started) say(`  ${blade.name}: ${name} started again`)
}

async function setUpProduct(hosts: readonly Host[], blades: readonly Host[], deb: string): Promise<void> {
  await phase('install', () => installPackage(hosts, deb))
  await phase('controller', startController)
  await phase('enrolment', () => each(blades, enrol))
  await phase('vault', enrolVault)
  await phase('healthy', () => waitFleetHealthy(blades))
}

/** All hosts at once; every one is waited for, so that no work goes on behind the error that is shown. */
async function each(hosts: readonly Host[], work: (host: Host) => Promise<unknown>): Promise<void> {
  const results = await Promise.allSettled(hosts.map(work))
  for (const result of results) if (result.status === 'rejected') throw result.reason
}
