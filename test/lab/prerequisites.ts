import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LabError } from './errors.ts'
import { must } from './run.ts'
import { phase, say } from './say.ts'

/** A program the lab calls on this machine, and the Debian package that brings it. */
const PROGRAMS: Record<string, string> = {
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  ip: 'iproute2',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  ipmi_sim: 'openipmi',
  ipmitool: 'ipmitool',
  as: 'binutils',
  ld: 'binutils',
  nsenter: 'util-linux',
  taskset: 'util-linux',
}

/** Checks that a lab can live on this machine, and installs the Debian packages that are missing. */
export async function ensurePrerequisites(): Promise<void> {
  if (process.getuid?.() !== 0)
    throw new LabError('the lab needs root: it makes a network namespace', { next: 'sudo npm run lab -- up' })
  if (!/^ID(_LIKE)?=.*debian/m.test(readFileSync('/etc/os-release', 'utf8'))) {
    throw new LabError('the lab needs a Debian host: it installs packages and builds its image with apt')
  }
  if (!existsSync('/dev/net/tun'))
    throw new LabError('no /dev/net/tun: the NICs of the blades are taps', { next: 'modprobe tun' })
  const missing = missingPackages()
  if (missing.length === 0) return
  say(`installing Debian packages: ${missing.join(' ')}`)
  await phase('prerequisites', async () => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    await must(['apt-get', 'update', '-q'], { timeoutMs: 240_000, env })
    const argv = ['apt-get', 'install', '-y', '-q', '--no-install-recommends', ...missing]
    await must(argv, { timeoutMs: 300_000, env })
  })
  const still = missingPackages()
  if (still.length > 0) throw new LabError(`still missing after the installation: ${still.join(' ')}`)
}

function missingPackages(): string[] {
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isInstalled(program))
  return [...new Set(missing.map(([, name]) => name))]
}

function isInstalled(program: string): boolean {
  const folders = (process.env.PATH ?? '').split(':').concat('/usr/sbin', '/sbin')
  return folders.some(folder => existsSync(join(folder, program)))
}
