import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { openLab } from '../../lab.ts'
import { assertSound, blades, calm, operations, vms } from '../support/fleet.ts'

const lab = openLab()
/** As the lab was brought up with: the file every host sees. */
const DEB = '/run/lab-share/lifeboat.deb'
const INSTALL_LIMIT_MS = 300_000

before(() => calm(lab))

function dpkg(host: string, ...words: string[]): Promise<string> {
  const argv = ['env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', ...words]
  return lab.mustExec(host, argv, { timeoutMs: INSTALL_LIMIT_MS })
}

async function isActive(host: string, unit: string): Promise<string> {
  return (await lab.exec(host, ['systemctl', 'is-active', unit])).stdout.toString().trim()
}

test('an upgrade keeps identity, journal and configuration, restarts the services, and touches no VM', async () => {
  const known = {
    operations: (await operations(lab)).length,
    vms: (await vms(lab)).map(each => each.id).sort(),
  }
  const config = await lab.mustExec('blade02', ['cat', '/etc/lifeboat/agent.toml'])
  await Promise.all(['depot', 'blade02'].map(host => dpkg(host, '--force-confold', '--install', DEB)))
  await calm(lab)
  assert.equal(await isActive('depot', 'lifeboat-controller'), 'active')
  assert.equal(await isActive('blade02', 'lifeboat-agent'), 'active')
  assert.equal(await lab.mustExec('blade02', ['cat', '/etc/lifeboat/agent.toml']), config)
  assert.equal((await operations(lab)).length, known.operations)
  assert.deepEqual((await vms(lab)).map(each => each.id).sort(), known.vms)
  for (const each of await blades(lab)) assert.deepEqual([each.enrolment, each.liveness], ['joined', 'up'])
  await assertSound(lab)
})

test('removal stops the agent and keeps its state; purge leaves nothing of Lifeboat, and every VM', async () => {
  const running = await lab.mustExec('blade03', ['virsh', 'list', '--name'])
  await dpkg('blade03', '--remove', 'lifeboat')
  assert.notEqual(await isActive('blade03', 'lifeboat-agent'), 'active')
  await lab.mustExec('blade03', ['test', '-f', '/var/lib/lifeboat/agent/identity/identity.json'])
  await dpkg('blade03', '--purge', 'lifeboat')
  // Volumes kept of VMs that moved are data of VMs: they stay, as the VMs do.
  const left = await lab.mustExec('blade03', [
    'sh',
    '-c',
    'find /etc /usr /var /run -xdev -iname "*lifeboat*" -not -iname "*lifeboat*kept*" -not -path "/var/log/*" -not -path "/run/libvirt/*"',
  ])
  assert.equal(left.trim(), '')
  assert.equal(await lab.mustExec('blade03', ['virsh', 'list', '--name']), running)
})

test('a blade that lost its agent is silent after half a minute: told, and its VMs are not started elsewhere', async () => {
  const alert = await lab.waitFor(
    'alert of the silent blade',
    async () => {
      const found = await lab.cliJson<{ code: string; blade: string; text: string }[]>(['alert', 'list'])
      return found.find(each => each.code === 'blade-silent' && each.blade === 'blade03')
    },
    90_000,
  )
  assert.match(alert.text, /not started elsewhere without proof/)
  const active = (await lab.whereGuestsRun()).values()
  for (const where of active) assert.equal(where.length, 1)
})
