import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from '../lab/errors.ts'
import { must, run } from '../lab/run.ts'
import { benchCache } from './backup-images.ts'
import { type Command, type Measured, measure } from './backup-measure.ts'

/** One tool with a repository of its own. The image always lies at `disk.img` below its folder, as a disk keeps its path. */
export interface Peer {
  readonly name: string
  /** What of its folder is the repository. */
  readonly repository: readonly string[]
  readonly init: (folder: string) => Promise<void>
  readonly backup: (folder: string, night: number) => Command
  /** To `out.img` or `out/disk.img` below the folder. */
  readonly restore: (folder: string, night: number) => Command
}

export interface PeerSet {
  readonly peers: readonly Peer[]
  /** restic 0.18, or what there was instead of it. */
  readonly resticVersion: string
}

/** Throws when a tool is missing, with what to install. */
export async function findPeers(say: (text: string) => void): Promise<PeerSet> {
  const missing = await Promise.all(
    [
      ['restic', 'version'],
      ['borg', '--version'],
      ['casync', '--version'],
      ['zstd', '--version'],
    ].map(async argv => ((await run(['which', argv[0] ?? ''])).code === 0 ? '' : argv[0])),
  )
  const names = missing.filter(name => name !== '')
  if (names.length > 0) {
    throw new LabError(`apt install restic borgbackup casync zstd: ${names.join(', ')} is missing`)
  }
  const restic = await findRestic(say)
  const version = await must([restic, 'version'])
  const resticVersion = /restic ([\d.]+)/.exec(version)?.[1] ?? '?'
  return { peers: [resticPeer(restic, resticVersion), BORG, CASYNC, TAR], resticVersion }
}

/** Debian 13's restic, unpacked beside ours and never installed; the installed one where that is not possible. */
async function findRestic(say: (text: string) => void): Promise<string> {
  const folder = join(benchCache(), 'apt')
  const program = join(folder, 'restic/usr/bin/restic')
  if (existsSync(program)) return program
  try {
    say("unpacks Debian 13's restic")
    await downloadRestic(folder)
    return program
  } catch (error) {
    say(
      `Debian 13's restic cannot be had (${error instanceof Error ? error.message : error}): the installed one`,
    )
    return 'restic'
  }
}

async function downloadRestic(folder: string): Promise<void> {
  const mirror = await debianMirror()
  for (const name of ['state/lists/partial', 'cache/archives/partial', 'download']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  const sources = join(folder, 'sources.list')
  const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'
  writeFileSync(sources, `deb [signed-by=${keyring}] ${mirror} trixie main\n`)
  const options = Object.entries({
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '-',
    'Dir::State': join(folder, 'state'),
    'Dir::State::status': '/var/lib/dpkg/status',
    'Dir::Cache': join(folder, 'cache'),
    'APT::Sandbox::User': 'root',
  }).flatMap(([name, value]) => ['-o', `${name}=${value}`])
  await must(['apt-get', ...options, 'update'], { timeoutMs: 300_000 })
  const cwd = join(folder, 'download')
  await must(['apt-get', ...options, 'download', 'restic'], { cwd, timeoutMs: 300_000 })
  const deb = readdirSync(cwd).find(name => name.endsWith('.deb')) ?? ''
  await must(['dpkg-deb', '-x', join(cwd, deb), join(folder, 'restic')])
}

/** The mirror this host already uses. */
async function debianMirror(): Promise<string> {
  const format = '$(REPO_URI) $(ORIGIN) $(LABEL)'
  const listed = await must(['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'])
  const found = listed.split('\n').find(line => line.endsWith(' Debian Debian'))
  if (found === undefined) throw new LabError('this host has no mirror of Debian')
  return found.split(' ')[0] ?? ''
}

const resticPeer = (program: string, version: string): Peer => {
  const env = (folder: string) => ({
    RESTIC_REPOSITORY: join(folder, 'repo'),
    RESTIC_PASSWORD: 'bench',
    RESTIC_CACHE_DIR: join(folder, 'cache'),
  })
  const sparse = Number(version.split('.')[1]) >= 15 ? ['--sparse'] : []
  return {
    name: `restic ${version}`,
    repository: ['repo'],
    init: async folder => {
      await must([program, 'init', '--quiet'], { env: { ...process.env, ...env(folder) } })
    },
    backup: folder => ({
      argv: [program, 'backup', '--quiet', '--host', 'bench', 'disk.img'],
      cwd: folder,
      env: env(folder),
    }),
    restore: folder => ({
      argv: [program, 'restore', 'latest', '--quiet', '--target', 'out', ...sparse],
      cwd: folder,
      env: env(folder),
    }),
  }
}

const borgEnv = (folder: string) => ({
  BORG_BASE_DIR: join(folder, 'base'),
  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes',
})
const BORG: Peer = {
  name: 'borg 4 MiB',
  repository: ['repo'],
  init: async folder => {
    await must(['borg', 'init', '-e', 'none', 'repo'], {
      cwd: folder,
      env: { ...process.env, ...borgEnv(folder) },
    })
  },
  backup: (folder, night) => ({
    argv: [
      'borg',
      'create',
      '--compression',
      'zstd,3',
      '--chunker-params',
      'fixed,4194304',
      `repo::${night}`,
      'disk.img',
    ],
    cwd: folder,
    env: borgEnv(folder),
  }),
  restore: (folder, night) => ({
    argv: ['borg', 'extract', '--sparse', `../repo::${night}`],
    cwd: join(folder, 'out'),
    env: borgEnv(folder),
  }),
}

const CASYNC: Peer = {
  name: 'casync',
  repository: ['store', 'index'],
  init: async folder => void mkdirSync(join(folder, 'index')),
  backup: (folder, night) => ({
    argv: ['casync', 'make', '--store=store', `index/${night}.caibx`, 'disk.img'],
    cwd: folder,
  }),
  restore: (folder, night) => ({
    argv: ['casync', 'extract', '--store=store', `index/${night}.caibx`, 'out/disk.img'],
    cwd: folder,
  }),
}

const TAR: Peer = {
  name: 'tar|zstd',
  repository: ['repo'],
  init: async folder => void mkdirSync(join(folder, 'repo')),
  backup: (folder, night) => ({
    argv: ['sh', '-c', `tar cf - disk.img | zstd -T0 -3 -q -o repo/${night}.tar.zst`],
    cwd: folder,
  }),
  restore: (folder, night) => ({
    argv: ['sh', '-c', `zstd -dcq repo/${night}.tar.zst | tar xf - -C out`],
    cwd: folder,
  }),
}

export interface PeerNight extends Measured {
  readonly repositoryMib: number
}

/** One backup into the peer's repository. */
export async function peerBackup(
  peer: Peer,
  folder: string,
  image: string,
  night: number,
): Promise<PeerNight> {
  const disk = join(folder, 'disk.img')
  rmSync(disk, { force: true })
  try {
    linkSync(image, disk)
  } catch {
    copyFileSync(image, disk)
  }
  const measured = await measure(peer.backup(folder, night))
  return { ...measured, repositoryMib: await sizeMib(peer.repository.map(name => join(folder, name))) }
}

/** Restores into a fresh place; returns what it took and the path of the image. */
export async function peerRestore(
  peer: Peer,
  folder: string,
  night: number,
): Promise<Measured & { readonly path: string }> {
  rmSync(join(folder, 'out'), { recursive: true, force: true })
  mkdirSync(join(folder, 'out'))
  return { ...(await measure(peer.restore(folder, night))), path: join(folder, 'out/disk.img') }
}

/** Room on the disk, as `du` counts it. */
export async function sizeMib(paths: readonly string[]): Promise<number> {
  const text = await must(['du', '-s', '--block-size=1K', '--total', ...paths])
  return Number(text.trim().split('\n').at(-1)?.split('\t')[0]) / 1024
}
