import assert from 'node:assert/strict'
import { mkdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { checkRing } from '../../guest/record.ts'
import { openLab } from '../../lab.ts'
import { SHARE_DIR } from '../../place.ts'
import { backUp, VAULT_DIR } from '../support/backups.ts'
import { calm } from '../support/fleet.ts'

const lab = openLab()
const VMS = ['dns01', 'db01'] as const
/** Where a spare machine finds what is left of the fleet: the vault's folder. */
const LEFT = '/root/vault'
let spare = ''

before(async () => {
  await calm(lab)
  for (const name of VMS) await backUp(lab, name)
  spare = await lab.bootSpare()
  await bringVault()
})

after(async () => {
  if (spare !== '') await lab.power(spare, 'cut')
})

/** The vault's disk is all that was saved: it is put into the spare machine. */
async function bringVault(): Promise<void> {
  const archive = await lab.exec('depot', ['tar', '-C', VAULT_DIR, '-cf', '-', '.'], { timeoutMs: 120_000 })
  assert.equal(archive.code, 0, archive.stderr)
  await lab.mustExec(spare, ['mkdir', '-p', LEFT])
  await lab.mustExec(spare, ['tar', '-C', LEFT, '-xf', '-'], { input: archive.stdout, timeoutMs: 120_000 })
}

/** A guest's serial log goes into a folder the lab makes for its own guests. */
async function startAndWatch(name: string, path: string): Promise<void> {
  const read = async () => {
    const argv = ['dd', `if=${path}`, 'bs=1M', 'count=9', 'iflag=direct', 'status=none']
    return checkRing((await lab.exec(spare, argv, { timeoutMs: 60_000 })).stdout)
  }
  const before = await read()
  assert.deepEqual([before.name, before.badCount], [name, 0])
  await lab.mustExec(spare, ['virsh', '-q', 'start', name], { timeoutMs: 90_000 })
  const after = await lab.waitFor(
    `${name} to go on`,
    async () => {
      const now = await read()
      return now.boots > before.boots && now.last > before.last && now
    },
    60_000,
  )
  assert.equal(after.badCount, 0)
}

test('by the recipe in the vault, Debian’s casync, LVM and virsh alone bring a VM back', async () => {
  const missing = await lab.exec(spare, ['sh', '-c', 'command -v lifeboat-vault'])
  assert.notEqual(missing.code, 0, 'the spare machine has the package already')
  const script = recipe(await lab.mustExec(spare, ['cat', `${LEFT}/README.txt`]), 'dns01', 32)
  const folder = await newestFolder('dns01')
  await lab.mustExec(spare, ['sh', '-ec', `cd "$1"\n${script}`, 'sh', folder], { timeoutMs: 180_000 })
  await startAndWatch('dns01', '/dev/vg0/dns01')
  await lab.mustExec(spare, ['virsh', '-q', 'destroy', 'dns01'])
})

/** The recipe's own lines for a VM on one thick volume, as a person would type them: only its example's names are changed. */
function recipe(text: string, vm: string, sizeMiB: number): string {
  const lines = text.split('\n').map(line => line.trim().replace(/\s+#.*$/, ''))
  const wanted = [
    /^lvcreate --wipesignatures n/,
    /^casync extract .*\/dev\/vg0\/web01$/,
    /^virsh define domain\.xml$/,
  ]
  return wanted
    .map(pattern => {
      const found = lines.find(line => pattern.test(line))
      assert.ok(found !== undefined, `the recipe has no line ${pattern}`)
      return found.replaceAll('web01', vm).replace(/-L \d+b/, `-L ${sizeMiB}M`)
    })
    .join('\n')
}

async function newestFolder(vm: string): Promise<string> {
  const script = `grep -l '"name": "${vm}"' ${LEFT}/points/*/*/manifest.json | sort | tail -1`
  const manifest = (await lab.mustExec(spare, ['sh', '-c', script])).trim()
  assert.notEqual(manifest, '', `no restore point of ${vm} in the vault's folder`)
  return manifest.replace(/\/manifest\.json$/, '')
}

test('with nothing but the package and the vault’s folder two VMs come back by lifeboat-vault restore', async () => {
  await lab.mustExec(spare, ['virsh', '-q', 'undefine', 'dns01'])
  await lab.mustExec(spare, ['lvremove', '-qfy', 'vg0/dns01'], { timeoutMs: 60_000 })
  mkdirSync(SHARE_DIR, { recursive: true })
  await lab.installPackage(spare)
  for (const name of VMS) {
    const argv = ['lifeboat-vault', 'restore', name, '--vault', LEFT, '--vg', 'vg0']
    await lab.mustExec(spare, argv, { timeoutMs: 240_000 })
    const xml = await lab.mustExec(spare, ['virsh', 'domblklist', name, '--details'])
    const paths = xml.split('\n').flatMap(line => /\sdisk\s+\S+\s+(\/\S+)/.exec(line)?.[1] ?? [])
    assert.equal(paths.length, name === 'db01' ? 2 : 1)
    await startAndWatch(name, paths[0] ?? '')
  }
})
