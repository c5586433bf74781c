import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { LabError } from '../errors.ts'
import { hostsOf } from '../hosts.ts'
import { HOSTS_DIR, IMAGES_DIR } from '../place.ts'
import { must } from '../run.ts'
import { phase, say } from '../say.ts'
import { consoleTail, cutPower, isPowered, startUml } from '../uml/uml.ts'
import { waitFor } from '../wait.ts'
import { imageKey } from './key.ts'
import { ENABLED_UNITS, KERNEL_SUITE, LEFT_OUT, MASKED_UNITS, PACKAGES, ROOT_SIZE, SUITE } from './recipe.ts'

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Folder of the finished image with that key. */
export function imageDir(key: string): string {
  return join(IMAGES_DIR, key)
}

/**
 * Makes the image unless one with the present key is there, and returns its key. A build that fails leaves nothing
 * that a later one could take for finished: the folder gets its name at the very end.
 */
export async function ensureImage(options: { rebuild?: boolean } = {}): Promise<string> {
  const key = imageKey()
  if (existsSync(imageDir(key)) && !options.rebuild) {
    say(`image ${key}: cached`)
    return key
  }
  const work = join(IMAGES_DIR, `${key}.building`)
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  const tree = join(work, 'tree')
  await phase('image: Debian packages', () => bootstrap(work, tree))
  await phase('image: configuration and file system', async () => {
    await configure(work, tree)
    await extractKernel(tree, join(work, 'uml'))
    await must(
      [
        'mke2fs',
        '-q',
        '-F',
        '-t',
        'ext4',
        '-L',
        'root',
        '-E',
        'lazy_itable_init=1,lazy_journal_init=1',
      ].concat(['-d', tree, join(work, 'base.img'), ROOT_SIZE]),
      { timeoutMs: 300_000 },
    )
  })
  rmSync(tree, { recursive: true })
  await phase('image: seal', () => seal(work))
  rmSync(imageDir(key), { recursive: true, force: true })
  renameSync(work, imageDir(key))
  for (const other of readdirSync(IMAGES_DIR)) {
    if (other !== key) rmSync(join(IMAGES_DIR, other), { recursive: true, force: true })
  }
  return key
}

/** Root file system from Debian packages; the kernel alone comes from the later release. */
async function bootstrap(work: string, tree: string): Promise<void> {
  const mirror = await debianMirror()
  const pin = join(work, 'kernel.pref')
  writeFileSync(
    pin,
    `Package: *\nPin: release n=${KERNEL_SUITE}\nPin-Priority: -1\n\n` +
      `Package: user-mode-linux\nPin: release n=${KERNEL_SUITE}\nPin-Priority: 990\n`,
  )
  await must(
    [
      ...['mmdebstrap', '--quiet', '--variant=minbase', '--mode=root'],
      `--setup-hook=mkdir -p "$1/etc/apt/preferences.d" && cp '${pin}' "$1/etc/apt/preferences.d/kernel"`,
      ...LEFT_OUT.map(path => `--dpkgopt=path-exclude=${path}`),
      ...[`--include=${PACKAGES.join(',')}`, SUITE, tree],
      `deb [signed-by=${KEYRING}] ${mirror} ${SUITE} main`,
      // A frozen mirror may serve this moving release past its Valid-Until; the signature is still checked.
      `deb [signed-by=${KEYRING} check-valid-until=no] ${mirror} ${KERNEL_SUITE} main`,
    ],
    { timeoutMs: 480_000, env: { ...process.env, LC_ALL: 'C.UTF-8' } },
  )
}

/** The mirror this machine's own apt uses, so that the lab needs no address of its own. */
async function debianMirror(): Promise<string> {
  const found = await mirrorInUse()
  if (found !== undefined) return found
  // The origin of a source is known from its index, which a fresh machine has not fetched yet.
  await must(['apt-get', 'update', '-q'], { timeoutMs: 240_000 })
  const fetched = await mirrorInUse()
  if (fetched === undefined) throw new LabError('the apt sources of this machine name no Debian mirror')
  return fetched
}

async function mirrorInUse(): Promise<string | undefined> {
  const format = '$(ORIGIN) $(LABEL) $(REPO_URI)'
  const text = await must(['apt-get', 'indextargets', '--format', format, 'Created-By: Packages'])
  const line = text.split('\n').find(candidate => candidate.startsWith('Debian Debian '))
  return line?.split(' ')[2]
}

/** Turns the plain Debian tree into a lab host. Nothing of this machine may stay in it. */
async function configure(work: string, tree: string): Promise<void> {
  for (const path of ['etc/apt/sources.list', 'etc/apt/sources.list.d', 'etc/apt/preferences.d/kernel']) {
    rmSync(join(tree, path), { recursive: true, force: true })
  }
  for (const path of ['etc/hostname', 'etc/resolv.conf', 'etc/machine-id'])
    rmSync(join(tree, path), { force: true })
  writeFileSync(join(tree, 'etc/machine-id'), '')
  cpSync(join(import.meta.dirname, 'overlay'), tree, { recursive: true, preserveTimestamps: true })
  mkdirSync(join(tree, 'var/log/lab')) // the guests' serial lines
  const names = hostsOf(9).map(host => `${host.address} ${host.name}`)
  writeFileSync(join(tree, 'etc/hosts'), ['127.0.0.1 localhost', ...names, ''].join('\n'))

  const key = join(work, 'ssh_key')
  await must(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', key])
  mkdirSync(join(tree, 'root/.ssh'), { recursive: true, mode: 0o700 })
  cpSync(`${key}.pub`, join(tree, 'root/.ssh/authorized_keys'))
  await assembleGuest(work, join(tree, 'usr/local/lib/lab'))

  const units = join(tree, 'etc/systemd/system')
  for (const unit of MASKED_UNITS) link('/dev/null', join(units, unit))
  for (const [target, ours] of Object.entries(ENABLED_UNITS)) {
    for (const unit of ours) link(`/etc/systemd/system/${unit}`, join(units, `${target}.wants`, unit))
  }
  // libvirt finds both QEMU binaries and probes both at its first call; guests here are x86_64.
  rmSync(join(tree, 'usr/bin/qemu-system-i386'), { force: true })
}

async function assembleGuest(work: string, target: string): Promise<void> {
  mkdirSync(target, { recursive: true })
  const object = join(work, 'guest.o')
  await must(['as', '--32', '-o', object, join(import.meta.dirname, '../guest/guest.s')])
  const raw = ['-m', 'elf_i386', '-Ttext', '0x7c00', '--oformat', 'binary']
  await must(['ld', ...raw, '-o', join(target, 'guest.img'), object])
}

/** A root with the kernel program and the libraries it is linked to, and the places it mounts things on. */
async function extractKernel(tree: string, root: string): Promise<void> {
  const [version] = readdirSync(join(tree, 'usr/lib/uml/modules'))
  if (version === undefined) throw new LabError('the kernel package brought no modules')
  mkdirSync(join(tree, 'usr/lib/modules'), { recursive: true })
  link(`../uml/modules/${version}`, join(tree, 'usr/lib/modules', version))
  const linked = await must(['chroot', tree, 'ldd', '/usr/bin/linux.uml'])
  const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(match => match[1] ?? '')
  // Not linked but loaded when a thread ends: without it the kernel aborts where it should re-execute itself to reboot.
  libraries.push('/usr/lib/x86_64-linux-gnu/libgcc_s.so.1')
  // Copied from inside: the loader is an absolute link there, which from outside points at this machine's own.
  const inside = '/uml-root'
  mkdirSync(join(tree, inside))
  await must(['chroot', tree, 'cp', '-L', '--parents', '/usr/bin/linux.uml', ...libraries, inside])
  renameSync(join(tree, inside), root)
  for (const folder of ['proc', 'dev', 'lab', 'tmp']) mkdirSync(join(root, folder), { recursive: true })
}

/** Boots the image itself once, so that what its first boot would compute in every host is in it. */
async function seal(work: string): Promise<void> {
  const name = 'seal'
  await cutPower(name) // of a build that was interrupted
  rmSync(join(HOSTS_DIR, name), { recursive: true, force: true })
  const image = join('/lab/images', work.slice(IMAGES_DIR.length), 'base.img')
  startUml({
    name,
    cpuIndex: 0,
    memoryMiB: 1024,
    umlRoot: join(work, 'uml'),
    args: [`ubda=${image}`, 'lab_seal'],
  })
  try {
    await waitFor('end of the sealing boot', async () => !isPowered(name), 240_000)
  } finally {
    await cutPower(name)
  }
  if (!consoleTail(name).includes('lab-seal: sealed')) {
    throw new LabError(`the image could not be sealed; its console ends with:\n${consoleTail(name)}`)
  }
  rmSync(join(HOSTS_DIR, name), { recursive: true, force: true })
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  rmSync(path, { force: true })
  symlinkSync(target, path)
}
