import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../lab/run.ts'
import { benchCache } from './backup-images.ts'

/** Programs of Debian that were unpacked beside ours and never installed. */
export interface Unpacked {
  readonly root: string
  /** For the process that runs one of them: their libraries lie below `root` too. */
  readonly env: Readonly<Record<string, string>>
}

const DOWNLOAD_LIMIT_MS = 300_000

/**
 * The packages of this host's own Debian with all they need and the host lacks, below `~/.cache/lifeboat-bench/apt`;
 * fetched once. Throws a LabError when they cannot be had.
 */
export async function unpackPackages(
  name: string,
  packages: readonly string[],
  say: (text: string) => void,
): Promise<Unpacked> {
  const root = join(benchCache(), 'apt', name)
  if (!existsSync(root)) {
    say(`unpacks Debian's ${packages.join(' ')}`)
    await fetchTo(root, packages)
  }
  return { root, env: { LD_LIBRARY_PATH: libraryFolders(root).join(':') } }
}

async function fetchTo(root: string, packages: readonly string[]): Promise<void> {
  const wanted = await whatAptWouldInstall(packages)
  const download = `${root}.download`
  const half = `${root}.half`
  for (const folder of [download, half]) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
  }
  await must(['apt-get', 'download', '-o', 'APT::Sandbox::User=root', ...wanted], {
    cwd: download,
    timeoutMs: DOWNLOAD_LIMIT_MS,
  })
  for (const deb of readdirSync(download).filter(file => file.endsWith('.deb'))) {
    await must(['dpkg-deb', '-x', join(download, deb), half])
  }
  rmSync(download, { recursive: true })
  renameSync(half, root)
}

/** Names of the packages and of what they need, less what is installed. */
async function whatAptWouldInstall(packages: readonly string[]): Promise<string[]> {
  const simulate = ['apt-get', '--simulate', '--no-install-recommends', '-o', 'Debug::NoLocking=1', 'install']
  const text = await must([...simulate, ...packages]).catch(async () => {
    await must(['apt-get', 'update'], { timeoutMs: DOWNLOAD_LIMIT_MS })
    return must([...simulate, ...packages])
  })
  const names = [...text.matchAll(/^Inst (\S+)/gm)].map(match => match[1] ?? '')
  // An installed one is not listed; it is unpacked all the same, so that there is one place to look.
  const all = new Set([...packages, ...names])
  return [...all]
}

/** Every folder that holds shared libraries; BLAS and LAPACK have folders of their own. */
function libraryFolders(root: string): string[] {
  const folders = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter(entry => /\.so(\.\d+)*$/.test(entry.name))
    .map(entry => entry.parentPath)
  return [...new Set(folders)].sort()
}
