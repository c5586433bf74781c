import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { Operation } from '../../../../proto/gen/lifeboat/v1/admin.ts'
import type { PointSummary } from '../../../../proto/gen/lifeboat/v1/vault.ts'
import { openLab } from '../../lab.ts'
import { backUp, beginBackups, points, VAULT_DIR } from '../support/backups.ts'
import { alertGone, alertOf, calm, describeOperation, ended, leaveRoom, place, vm } from '../support/fleet.ts'

const lab = openLab()
const GUEST = 'wiki01'
const BLADE = 'blade02'
const TO = 'blade03'
const ALERT_LIMIT_MS = 180_000
let vmId = ''

before(async () => {
  await calm(lab)
  await place(lab, { [GUEST]: BLADE })
  await leaveRoom(lab, TO, 1)
  vmId = (await vm(lab, GUEST)).id
})

/** Whatever a test left half done: the vault has its own disk again, and nothing damaged is in it. Without a VM: of nobody. */
after(async () => {
  const clean = `systemctl stop lifeboat-vault
umount -l "$1" 2>/dev/null || true
[ -z "$2" ] || rm -rf "$1/points/$2" "$1"/quarantine/*
systemctl start lifeboat-vault`
  await onDepot(clean, VAULT_DIR, vmId)
  await lab.cliJson(['vault', 'scrub'], 60_000)
  await calm(lab)
})

const onDepot = (script: string, ...words: string[]) =>
  lab.mustExec('depot', ['sh', '-ec', script, 'sh', ...words], { timeoutMs: 60_000 })

const folderOf = ({ point }: { point: string }) => `${VAULT_DIR}/points/${vmId}/${point}`

async function newest(): Promise<PointSummary> {
  const [found] = (await points(lab, GUEST)).sort((a, b) => b.point.localeCompare(a.point))
  assert.ok(found !== undefined, `${GUEST} has no restore point`)
  return found
}

/** Fills one chunk of the guest's disk behind all that the guest writes: every backup from now on has it. Returns its id. */
async function writeLastingChunk(): Promise<string> {
  const script = `dd if=/dev/urandom of=/root/chunk bs=512K count=1 status=none
dd if=/root/chunk of="$1" bs=512K seek=60 conv=notrunc,fsync status=none
sha256sum < /root/chunk; rm /root/chunk`
  const path = (await vm(lab, GUEST)).volumes[0]?.path ?? ''
  const printed = await lab.mustExec(BLADE, ['sh', '-ec', script, 'sh', path], { timeoutMs: 60_000 })
  return printed.split(' ')[0] ?? ''
}

/** A restore that must be refused: it ends undone, and the target has not been touched. */
async function refusedRestore(ref: string): Promise<string> {
  const before = await lab.mustExec(TO, ['lvs', '--noheadings', '-o', 'lv_name', 'vg0'])
  const argv = ['backup', 'restore', ref, '--to', TO, '--name', 'never', '--no-wait', '--output', 'json']
  const result = await lab.cli(argv, 120_000)
  let words = result.stdout.toString() + result.stderr
  if (result.code === 0) {
    const found = await ended(lab, (JSON.parse(result.stdout.toString()) as Operation).id)
    assert.equal(found.state, 'undone', describeOperation(found))
    assert.ok(
      !found.steps.some(step => /volume/.test(step.name) && step.state !== 'planned'),
      describeOperation(found),
    )
    words = describeOperation(found)
  }
  assert.equal(await lab.mustExec(TO, ['lvs', '--noheadings', '-o', 'lv_name', 'vg0']), before)
  assert.doesNotMatch(await lab.mustExec(TO, ['virsh', 'list', '--all', '--name']), /^never$/m)
  return words
}

test('a flipped byte in a chunk: named with every restore point it touches, not restored, healed by the next backup', async () => {
  const id = await writeLastingChunk()
  const { point } = await backUp(lab, GUEST)
  const chunk = `${VAULT_DIR}/store/${id.slice(0, 4)}/${id}.cacnk`
  await onDepot(
    'chmod u+w "$1"; printf "\\377\\376" | dd of="$1" bs=1 seek=40 conv=notrunc status=none',
    chunk,
  )
  assert.match(await refusedRestore(`${GUEST}@${point}`), /damaged|corrupt|chunk/)

  await lab.cliJson(['vault', 'scrub'], 60_000)
  const alert = await alertOf(lab, 'chunk-corrupt', ALERT_LIMIT_MS)
  assert.match(alert.text, new RegExp(id.slice(0, 8)))
  assert.match(alert.text, new RegExp(point))
  const damaged = (await points(lab, GUEST)).find(each => each.point === point)
  assert.equal(damaged?.state, 'damaged')

  await backUp(lab, GUEST)
  await lab.waitFor(
    `${point} to be whole again`,
    async () => (await points(lab, GUEST)).find(each => each.point === point)?.state === 'whole',
    ALERT_LIMIT_MS,
  )
  await alertGone(lab, 'chunk-corrupt', ALERT_LIMIT_MS)
})

test('what root left in the vault does not shut the service out: it gets it back when it starts', async () => {
  const script =
    'chown -R root:root "$1"/state "$1"/points; chmod 600 "$1"/state/*; systemctl restart lifeboat-vault'
  await onDepot(script, VAULT_DIR)
  await backUp(lab, GUEST)
})

test('a truncated index and a manifest of a newer version: each a clear case, and nothing is collected on a guess', async () => {
  const found = await newest()
  const folder = folderOf(found)
  await onDepot('cp -a "$1" /root/kept; chmod -R u+w "$1"; truncate -s -20 "$1"/vda.caibx', folder)
  await lab.cliJson(['vault', 'scrub'], 60_000)
  const alert = await alertOf(lab, 'restore-point-damaged', ALERT_LIMIT_MS)
  assert.match(alert.text, new RegExp(found.point))
  assert.match(await refusedRestore(`${GUEST}@${found.point}`), /damaged|index|cannot be read/)
  // It ends with 1: what it was asked for was not done.
  const gc = await lab.cli(['vault', 'gc', '--output', 'json'], 60_000)
  const collected = JSON.parse(gc.stdout.toString()) as { chunks: number; refused: string }
  assert.equal(collected.chunks, 0)
  assert.notEqual(collected.refused, '')

  await onDepot(
    'cp -a /root/kept/vda.caibx "$1"/; sed -i "s/\\"version\\": 1/\\"version\\": 9/" "$1"/manifest.json',
    folder,
  )
  await lab.cliJson(['vault', 'scrub'], 60_000)
  await lab.waitFor(
    'the restore point to be told as of a newer version',
    async () => (await points(lab, GUEST)).find(each => each.point === found.point)?.state === 'unreadable',
    ALERT_LIMIT_MS,
  )
  assert.match(await refusedRestore(`${GUEST}@${found.point}`), /version|upgrade/)

  await onDepot('rm -rf "$1"; cp -a /root/kept "$1"; rm -rf /root/kept', folder)
  await lab.cliJson(['vault', 'scrub'], 60_000)
  await alertGone(lab, 'restore-point-damaged', ALERT_LIMIT_MS)
})

test('the clocks of blade and vault are an hour apart: told, and no restore point is lost for it', async () => {
  const before = await points(lab, GUEST)
  // The blade's, not the depot's: that one is the controller's clock too, which here is right.
  await lab.mustExec(BLADE, ['date', '-s', '-1 hour'])
  try {
    await backUp(lab, GUEST)
    const alert = await alertOf(lab, 'vault-clock-off', ALERT_LIMIT_MS)
    assert.match(alert.text, new RegExp(BLADE))
    const after = await points(lab, GUEST)
    assert.deepEqual(
      before.filter(each => !after.some(other => other.point === each.point)),
      [],
    )
  } finally {
    await lab.mustExec(BLADE, ['date', '-s', `@${Math.round(Date.now() / 1000)}`])
  }
  await backUp(lab, GUEST)
  await alertGone(lab, 'vault-clock-off', ALERT_LIMIT_MS)
})

test('a vault that is full refuses backups, lists nothing half, still prunes, and takes backups again', async () => {
  const before = (await points(lab, GUEST)).length
  // A small disk over the vault's folder, with all that is in it.
  await onDepot(
    `systemctl stop lifeboat-vault
size=$(( $(du -sm "$1" | cut -f1) + 24 ))
truncate -s \${size}M /root/full.img; mkfs.ext4 -qF -m0 /root/full.img; mkdir -p /mnt/full
mount -o loop /root/full.img /mnt/full; cp -a "$1"/. /mnt/full/; chown --reference="$1" /mnt/full; umount /mnt/full
mount -o loop /root/full.img "$1"
dd if=/dev/zero of="$1"/ballast bs=1M status=none 2>/dev/null || true
systemctl start lifeboat-vault`,
    VAULT_DIR,
  )
  await alertOf(lab, 'vault-full', ALERT_LIMIT_MS)
  const [begun] = await beginBackups(lab, GUEST)
  const found = await ended(lab, begun?.id ?? '')
  assert.equal(found.state, 'undone', describeOperation(found))
  assert.match(describeOperation(found), /free/)
  const listed = await points(lab, GUEST)
  assert.equal(listed.length, before)
  await lab.cliJson(['backup', 'prune', '--dry-run'], 60_000)
  await lab.cliJson(['backup', 'prune'], 120_000)
  await lab.cliJson(['vault', 'gc'], 120_000)

  await onDepot(`rm -f "$1"/ballast`, VAULT_DIR)
  await alertGone(lab, 'vault-full', ALERT_LIMIT_MS)
  await onDepot(
    `systemctl stop lifeboat-vault
umount "$1"; rm -f /root/full.img; systemctl start lifeboat-vault`,
    VAULT_DIR,
  )
  await lab.waitFor('a backup to work again', async () => (await backUp(lab, GUEST)).point !== '', 120_000)
})
