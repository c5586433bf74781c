import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { checkRing } from '../../guest/record.ts'
import { checkSerial } from '../../guest/serial.ts'
import { openLab } from '../../lab.ts'
import { define, domainXml, fileDisk, undefine } from '../support/domains.ts'
import { calm, leaveRoom, move, vm } from '../support/fleet.ts'

const lab = openLab()
const FOLDER = '/var/lib/libvirt/images'
const FROM = 'blade03'
const TO = 'blade01'
const FORMATS = ['raw', 'qcow2'] as const
type Format = (typeof FORMATS)[number]

const pathOf = (format: Format) => `${FOLDER}/${format}01.${format}`

before(async () => {
  await calm(lab)
  await leaveRoom(lab, TO, FORMATS.length)
})

after(async () => {
  for (const host of [FROM, TO])
    for (const format of FORMATS) {
      await undefine(lab, host, `${format}01`)
      await lab.exec(host, ['rm', '-f', pathOf(format)])
    }
})

/** A guest on an image file, made and started by hand. The boot sector is written before the image is converted. */
async function makeGuest(format: Format): Promise<void> {
  const name = `${format}01`
  const seed = `/root/${name}.seed`
  await lab.mustExec(FROM, ['truncate', '-s', '32M', seed])
  await lab.mustExec(FROM, ['lab-guest', name, seed])
  await lab.mustExec(FROM, ['qemu-img', 'convert', '-O', format, seed, pathOf(format)])
  await define(lab, FROM, name, domainXml(name, [fileDisk(pathOf(format), format)]))
  await lab.mustExec(FROM, ['virsh', '-q', 'start', name], { timeoutMs: 90_000 })
}

async function running(name: string) {
  const seen = await vm(lab, name)
  return seen.state === 'running' && seen
}

/** Both witnesses; the guest is ended first, since an image that is written to cannot be read as a whole. */
async function witnesses(name: string, path: string) {
  await lab.mustExec(TO, ['virsh', '-q', 'destroy', name])
  await lab.mustExec(TO, ['qemu-img', 'convert', '-O', 'raw', path, `/root/${name}.raw`])
  const image = await lab.exec(TO, ['cat', `/root/${name}.raw`])
  const logs: string[] = []
  for (const host of [FROM, TO]) logs.push(await lab.mustExec(host, ['cat', `/var/log/lab/${name}.serial`]))
  return { ring: checkRing(image.stdout), serial: checkSerial(logs) }
}

for (const format of FORMATS) {
  test(`a VM on a ${format} file moves live like any other, and stays one`, async () => {
    const name = `${format}01`
    await makeGuest(format)
    // libvirt starts a VM paused; a look in that moment is true, and a move would be refused.
    const seen = await lab.waitFor(`${name} to be seen running`, () => running(name), 60_000)
    assert.deepEqual(
      seen.volumes.map(({ path, storage, pool }) => ({ path, storage, pool })),
      [{ path: pathOf(format), storage: 'file', pool: FOLDER }],
    )
    assert.deepEqual(seen.obstacles, [])

    const moved = await move(lab, name, TO)
    assert.equal(moved.method, 'live')
    const there = await vm(lab, name)
    assert.deepEqual([there.blade, there.state, there.volumes[0]?.format], [TO, 'running', format])
    const left = await lab.exec(FROM, ['test', '-e', pathOf(format)])
    assert.notEqual(left.code, 0, 'the source still has the image under its name')

    const { ring, serial } = await witnesses(name, pathOf(format))
    assert.deepEqual([ring.name, ring.badCount, ring.boots], [name, 0, 1])
    assert.deepEqual([serial.doubled, serial.missing, serial.ioErrors], [[], [], 0])
    assert.ok(ring.last > 20, `only ${ring.last} steps`)
  })
}
