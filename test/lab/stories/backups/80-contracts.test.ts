import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { serialLog } from '../../guest/fleet.ts'
import { bladesOf } from '../../hosts.ts'
import { openLab } from '../../lab.ts'
import { bundleForBlades, NODE_ON_BLADES } from '../support/bundle.ts'
import { calm, place, vm } from '../support/fleet.ts'

const lab = openLab()
/** What web01 has told on these blades so far; the VM of the suites, of the same name, would add its own steps. */
const LOG = serialLog('web01')
const LIMIT_MS = 540_000
/** Sixteen VMs are made and removed, and some tests wait for the end of a pause budget. */
const SNAPSHOTS_LIMIT_MS = 900_000

// The suite of the hypervisor names its VM web01, so that one must live elsewhere. Nobody else may speak with libvirt there
// meanwhile; the suite of the volumes has a volume group of its own and disturbs nobody.
const SOURCE = 'blade01'
const TARGET = 'blade02'
const STORAGE = 'blade03'

before(async () => {
  await calm(lab)
  await place(lab, { web01: 'blade03' })
  await lab.trustBladesMutually()
  await bundleForBlades(['volumes', 'hypervisor', 'snapshots'])
  for (const host of [SOURCE, TARGET]) {
    await lab.mustExec(host, ['systemctl', 'stop', 'lifeboat-agent'])
    await lab.mustExec(host, ['sh', '-c', `[ ! -e ${LOG} ] || mv ${LOG} ${LOG}.aside`])
  }
})

after(async () => {
  for (const host of [SOURCE, TARGET]) {
    await lab.mustExec(host, ['sh', '-c', `rm -f ${LOG}; [ ! -e ${LOG}.aside ] || mv ${LOG}.aside ${LOG}`])
    await lab.mustExec(host, ['systemctl', 'start', 'lifeboat-agent'])
  }
  await calm(lab)
})

/** Runs a bundled suite on a blade, with the Node of the package; its report is printed when it failed. */
async function runSuite(
  host: string,
  name: string,
  environment: Record<string, string>,
  timeoutMs = LIMIT_MS,
): Promise<void> {
  const words = Object.entries(environment).map(([key, value]) => `${key}=${value}`)
  const argv = ['env', ...words, NODE_ON_BLADES, `/run/lab-share/on-blade-${name}.mjs`]
  const { code, stdout, stderr } = await lab.exec(host, argv, { timeoutMs })
  const report = stdout.toString('utf8')
  const passed = Number(/^(?:#|ℹ) pass (\d+)/m.exec(report)?.[1] ?? 0)
  console.log(`contract of ${name} on ${host}: ${passed} passed`)
  assert.equal(code, 0, `${report}\n${stderr}`)
  assert.ok(passed > 10, report)
}

describe('on real kernels', { concurrency: true }, () => {
  it('the real volumes (thick and thin LVs, files) keep the contract of Volumes', async () => {
    // A group on a file, and a configuration of LVM that shows nothing else: vg0 holds what earlier moves have kept.
    const group = `set -e
mkdir -p /root/contract-lvm
echo 'devices { global_filter = [ "a|^/dev/loop|", "r|.*|" ] }' > /root/contract-lvm/lvm.conf
truncate -s 400M /root/contract.img
loop=$(losetup -f --show /root/contract.img)
export LVM_SYSTEM_DIR=/root/contract-lvm
vgcreate -q contract "$loop"
lvcreate -qy -Zn -L 96M -T contract/pool`
    await lab.mustExec(STORAGE, ['sh', '-c', group], { timeoutMs: 60_000 })
    try {
      await runSuite(STORAGE, 'volumes', {
        LIFEBOAT_TEST_VG: 'contract',
        LVM_SYSTEM_DIR: '/root/contract-lvm',
      })
    } finally {
      const remove = 'vgremove -qfy contract; losetup -D; rm -rf /root/contract.img /root/contract-lvm'
      await lab.mustExec(STORAGE, ['sh', '-c', remove], { timeoutMs: 60_000 })
    }
  })

  it('the real hypervisor keeps the contract of Hypervisor, between two blades', async () => {
    assert.equal((await vm(lab, 'web01')).blade, 'blade03')
    const address = bladesOf(9).find(blade => blade.name === TARGET)?.address ?? ''
    await runSuite(SOURCE, 'hypervisor', { LIFEBOAT_TEST_TARGET: address })
  })
})

// After the others: what is asked here is how long a guest stands, and that wants a blade with nothing else to do.
describe('on a blade alone', () => {
  it('the real snapshots (LVM, libvirt, timers of systemd) keep the contract of Snapshots', async () => {
    await lab.mustExec(STORAGE, ['systemctl', 'stop', 'lifeboat-agent'])
    try {
      await runSuite(STORAGE, 'snapshots', {}, SNAPSHOTS_LIMIT_MS)
    } finally {
      await lab.mustExec(STORAGE, ['systemctl', 'start', 'lifeboat-agent'])
    }
  })
})
