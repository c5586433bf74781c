import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backupVm } from '../../../../agent/backup/backup-saga.ts'
import { usualChunkBytes } from '../../../../agent/backup/chunk-size.ts'
import { collectLeftovers, releaseKilledBackups } from '../../../../agent/backup/recovery.ts'
import { standAside } from '../../../../agent/backup/stand-aside.ts'
import { MAX_BODY_BYTES } from '../../../../agent/vault/door/protocol.ts'
import { indexBytes } from '../../../../agent/vault/format/index.ts'
import type { Vm, Volume } from '../../../../shared/domain/fleet.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { LifeboatError } from '../../../../shared/errors.ts'
import { silentLogger } from '../../../../shared/log.ts'
import { createSagaJournal, SAGA_TABLES_SQL } from '../../../../shared/saga/journal.ts'
import { createSagaRunner } from '../../../../shared/saga/runner.ts'
import { openDatabase } from '../../../../shared/sqlite.ts'
import {
  BACKUP_PARAMS,
  backupWorld,
  POINT_NAME,
  recoveryOf,
  SNAPSHOT_AT,
} from '../../../fakes/backup-sagas.ts'
import { createHastyClock, settle } from '../../../fakes/manual-clock.ts'
import { preparedMove } from '../../../fakes/moves.ts'
import { DISK, type TwoBlades, VM_ID } from '../operations/two-blades.ts'

const POINT = `${VM_ID}/${POINT_NAME}`

/** An agent over a blade: dies by `kill`, and another one can be made over what it left. */
function createAgents(world: TwoBlades) {
  const { source } = world
  const db = openDatabase(':memory:', [{ version: 1, name: 'sagas', sql: SAGA_TABLES_SQL }])
  const journal = createSagaJournal(db)
  // Waits for a vault are over at once, deadlines never come.
  const clock = createHastyClock(SNAPSHOT_AT, 60_000)
  const services = { ...source.services, clock }
  const boot = () => {
    const runner = createSagaRunner({
      journal,
      clock,
      log: silentLogger,
      servicesFor: () => services,
      onChange: view => {
        if (view.endedAt > 0) services.turns.leave(view.id)
      },
    })
    runner.register(backupVm)
    const recovery = recoveryOf(source, journal, id => runner.view(id))
    return {
      runner,
      start: (change: object = {}, id = 'b1') =>
        runner.start('backup-vm', id, { ...BACKUP_PARAMS, ...change }, BACKUP_PARAMS.deadlineAt),
      recover: async () => {
        await releaseKilledBackups(recovery)
        runner.resume()
      },
      collect: (vmIds?: readonly string[]) => collectLeftovers(recovery, vmIds),
      standAside: () => standAside(VM_ID, { journal, runner: () => runner, clock, log: silentLogger }),
    }
  }
  return { boot, services, journal }
}

function assertAtEase(world: TwoBlades): void {
  assert.equal(world.source.vms.get(VM_ID)?.state, 'running')
  assert.deepEqual([...world.source.snapshots.taken.keys()], [])
  assert.equal(world.vault.open, 0)
}

/** The transfer stands until it is told to stop; resolves when it has begun. */
function holdTransfer(world: TwoBlades): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  world.vault.onTransfer = async signal => {
    resolve()
    await new Promise<void>(stopped => signal.addEventListener('abort', () => stopped(), { once: true }))
  }
  return promise
}

test('a backup tells what an order wants to know: point, pause, consistency', async () => {
  const world = backupWorld()
  const { runner, start } = createAgents(world).boot()
  start()
  const { state, results } = await runner.whenEnded('b1')
  assert.equal(state, 'done')
  const { point, pauseMs, consistency, transferredBytes } = results.send as Record<string, unknown>
  assert.deepEqual([point, pauseMs, consistency, transferredBytes], [POINT_NAME, 12, 'paused', 10])
  assert.equal(world.vault.points.get(POINT)?.disks.get('vda'), 'the data')
  assertAtEase(world)
})

test('a vault that is full or away is found out before the guest is touched', async () => {
  for (const trouble of ['refused', 'unavailable'] as const) {
    const world = backupWorld()
    world.vault.state = trouble
    const { runner, start } = createAgents(world).boot()
    start()
    const view = await runner.whenEnded('b1')
    assert.equal(view.state, 'undone')
    assert.equal(view.errorCode, trouble)
    assert.equal(view.steps.find(step => step.name === 'snapshot')?.state, 'planned')
  }
})

test('chunks are as large for a disk as its index may become: 512 KiB up to 2 TiB', () => {
  const TIB = 1024 * GIB
  const kib = [1, 20 * GIB, 2 * TIB, 2 * TIB + 1, 4 * TIB, 20 * TIB].map(
    bytes => usualChunkBytes(bytes) / 1024,
  )
  assert.deepEqual(kib, [512, 512, 512, 1024, 1024, 8192])
  for (const bytes of [2 * TIB, 3.9 * TIB, 60 * TIB]) {
    assert.ok(indexBytes(usualChunkBytes(bytes), bytes) < MAX_BODY_BYTES.index)
  }
})

test('a VM that got another disk while the vault was waited for is looked at again', async () => {
  const world = backupWorld()
  world.vault.state = 'busy'
  const path = '/dev/vg0/web01-more'
  world.source.volumes.set(path, { content: 'more', move: '', kept: '' })
  const second = ({ volumes: [first] }: Vm): Volume => ({ ...(first as Volume), target: 'vdb', path })
  const agents = createAgents(world)
  const { lookUp } = agents.services
  const { open } = agents.services.vaults
  let looks = 0
  agents.services.lookUp = async id => {
    looks += 1
    const vm = await lookUp(id)
    return vm && looks > 1 ? { ...vm, volumes: [...vm.volumes, second(vm)] } : vm
  }
  agents.services.vaults = {
    open: async access => {
      world.vault.state = 'up'
      return await open(access)
    },
  }
  const { runner, start } = agents.boot()
  start()
  assert.equal((await runner.whenEnded('b1')).state, 'done')
  assert.deepEqual([...(world.vault.points.get(POINT)?.disks.keys() ?? [])], ['vda', 'vdb'])
})

test('a disk that came between the snapshot and its sending is no restore point without it', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const { take } = agents.services.snapshots
  agents.services.snapshots = {
    ...agents.services.snapshots,
    take: async (...args) => {
      const snapshot = await take(...args)
      agents.services.hypervisor = {
        ...agents.services.hypervisor,
        adaptDefinition: () => {
          throw new LifeboatError('bad-input', 'the definition has a disk vdb for which there is no volume')
        },
      }
      return snapshot
    },
  }
  const { runner, start } = agents.boot()
  start()
  const view = await runner.whenEnded('b1')
  assert.deepEqual([view.state, view.errorCode], ['undone', 'refused'])
  assert.equal(world.vault.points.size, 0)
  assertAtEase(world)
})

test('a busy vault is waited for', async () => {
  const world = backupWorld()
  world.vault.state = 'busy'
  let asked = 0
  const agents = createAgents(world)
  const { open } = agents.services.vaults
  agents.services.vaults = {
    open: async access => {
      asked += 1
      if (asked === 5) world.vault.state = 'up'
      return await open(access)
    },
  }
  const { runner, start } = agents.boot()
  start()
  assert.equal((await runner.whenEnded('b1')).state, 'done')
  assert.equal(asked, 5)
})

test('off is off, unless somebody names a mode', async () => {
  const world = backupWorld()
  world.source.settings.current = { ...world.source.settings.current, mode: 'off' }
  const { runner, start } = createAgents(world).boot()
  start()
  assert.equal((await runner.whenEnded('b1')).errorCode, 'refused')
  start({ mode: 'crash' }, 'b2')
  assert.equal((await runner.whenEnded('b2')).state, 'done')
})

test('a VM that a move or an order has in hand is not backed up', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const { runner, start } = agents.boot()
  world.source.services.moves.put(preparedMove({ vmId: VM_ID, vmName: 'db01' }))
  start()
  assert.equal((await runner.whenEnded('b1')).errorCode, 'busy')
  world.source.services.moves.remove('m1')
  agents.services.workingOn = () => ({ orderId: 'o1', kind: 'send-live' })
  start({}, 'b2')
  assert.equal((await runner.whenEnded('b2')).errorCode, 'busy')
})

test('a VM of which a restore point could not be whole is not backed up, and not touched', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const { runner, start } = agents.boot()
  const refused = async (id: string) => {
    start({}, id)
    const { errorCode, steps, error } = await runner.whenEnded(id)
    assert.equal(errorCode, 'refused')
    assert.equal(steps.find(step => step.name === 'snapshot')?.state, 'planned')
    return error
  }
  const { lookUp } = agents.services
  const found = async (obstacles: Vm['obstacles']) => {
    const vm = (await lookUp(VM_ID)) ?? assert.fail('no VM')
    agents.services.lookUp = async () => ({ ...vm, obstacles })
  }
  for (const code of ['disk-not-local', 'disk-has-backing-file', 'disk-unreadable'] as const) {
    await found([{ code, text: `disk vdb: ${code}` }])
    assert.match(await refused(code), /not all disks of db01 can be backed up/)
  }
  // Only disks matter: that these keep the VM from moving is no reason against a backup.
  await found([
    { code: 'passed-through-device', text: 'a usb device is passed through' },
    { code: 'host-cdrom', text: 'cdrom sda reads /iso/debian.iso of this blade' },
  ])
  start({}, 'b1')
  assert.equal((await runner.whenEnded('b1')).state, 'done')
  // A disk that the definition has and the running VM has not: a restore would find no volume for it.
  agents.services.hypervisor = {
    ...agents.services.hypervisor,
    adaptDefinition: () => {
      throw new LifeboatError('bad-input', 'the definition has a disk vdc for which there is no volume')
    },
  }
  assert.match(await refused('b2'), /vdc/)
})

test('of a qcow2 image the size of the disk in it is kept too: it grows until that is full', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const vm = (await agents.services.lookUp(VM_ID)) ?? assert.fail('no VM')
  const volumes = vm.volumes.map(volume => ({ ...volume, format: 'qcow2' as const, sizeBytes: 20 * GIB }))
  agents.services.lookUp = async () => ({ ...vm, volumes })
  const { runner, start } = agents.boot()
  start()
  assert.equal((await runner.whenEnded('b1')).state, 'done')
  const [disk] = world.vault.points.get(POINT)?.manifest.disks ?? []
  assert.equal(disk?.virtualBytes, 20 * GIB)
})

test('a volume kept after a move that went for the room of a snapshot is told of, and no longer counted (rule 3)', async () => {
  const world = backupWorld()
  const { source } = world
  const path = '/dev/vg0/lifeboat-kept.m1.db01'
  source.services.kept.put({ path, moveId: 'm1', vmName: 'db01', sizeBytes: GIB, expiresAt: SNAPSHOT_AT * 2 })
  source.snapshots.dropped = [path]
  const agents = createAgents(world)
  const told: string[] = []
  agents.services.tell = (...words) => told.push(words.join(' '))
  const { runner, start } = agents.boot()
  start()
  assert.equal((await runner.whenEnded('b1')).state, 'done')
  assert.deepEqual(source.services.kept.list(), [])
  assert.match(told.join(), /^volume-dropped .*kept.m1.db01 was dropped before its time: .* needed its room$/)
})

test('a snapshot that had to be dropped is the reason told, and nothing is listed', async () => {
  const world = backupWorld()
  world.source.snapshots.overflow = new LifeboatError('refused', 'the snapshot was full')
  void holdTransfer(world)
  const { runner, start } = createAgents(world).boot()
  start()
  const view = await runner.whenEnded('b1')
  assert.equal(view.state, 'undone')
  assert.match(view.error, /the snapshot was full/)
  assert.equal(world.vault.points.size, 0)
  assertAtEase(world)
})

test('two backups of a blade go one after the other, in the order of asking', async () => {
  const world = backupWorld()
  const begun = holdTransfer(world)
  const { runner, start } = createAgents(world).boot()
  start({}, 'b1')
  start({}, 'b2')
  await begun
  await settle()
  assert.equal(runner.view('b2')?.steps[0]?.state, 'running')
  world.vault.onTransfer = async () => {}
  runner.abort('b1')
  assert.equal((await runner.whenEnded('b1')).state, 'undone')
  assert.equal((await runner.whenEnded('b2')).state, 'done')
})

test('a backup stands aside: when the move goes on, its snapshot is gone and nothing is listed', async () => {
  const world = backupWorld()
  const begun = holdTransfer(world)
  const { runner, start, standAside: yieldTo } = createAgents(world).boot()
  start()
  await begun
  assert.equal(world.source.snapshots.taken.size, 1)
  await yieldTo()
  assertAtEase(world)
  assert.equal(runner.view('b1')?.errorCode, 'aborted')
  assert.equal(world.vault.points.size, 0)
})

test('one that waits for its turn stands aside at once', async () => {
  const world = backupWorld()
  const begun = holdTransfer(world)
  const { runner, start, standAside: yieldTo } = createAgents(world).boot()
  start({ vmId: '99999999-9999-4999-8999-999999999999' }, 'other')
  start({}, 'b1')
  // The first one ends by itself: its VM is not here. So the one under test is held in its transfer.
  await begun
  start({}, 'b2')
  await settle()
  await yieldTo()
  assert.deepEqual(
    ['b1', 'b2'].map(id => runner.view(id)?.state),
    ['undone', 'undone'],
  )
  assertAtEase(world)
})

test('a snapshot that does not go does not keep the VM here', async () => {
  const world = backupWorld()
  const begun = holdTransfer(world)
  const { runner, start, standAside: yieldTo } = createAgents(world).boot()
  start()
  await begun
  world.source.snapshots.stuck = new LifeboatError('command-failed', 'lvremove failed')
  await yieldTo()
  assert.equal(runner.view('b1')?.state, 'needs-admin')
})

test('a snapshot that does not go after all is told of, and costs no other VM its night', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const told: string[] = []
  agents.services.tell = kind => told.push(kind)
  world.vault.onTransfer = async () => {
    world.source.snapshots.stuck = new LifeboatError('command-failed', 'lvremove failed')
  }
  const { runner, start } = agents.boot()
  start()
  assert.equal((await runner.whenEnded('b1')).state, 'done')
  assert.deepEqual(told, ['snapshot-left'])
  assert.equal(world.vault.points.size, 1)
})

test('killed in the middle of the pause: the guest runs before anything else, and the backup is undone', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const first = agents.boot()
  // The process ends with the guest standing: the step is left unknown.
  world.source.snapshots.dieInTake = true
  const { take } = world.source.snapshots.seam
  agents.services.snapshots = {
    ...world.source.snapshots.seam,
    take: async (plan, run) => {
      const dying = take(plan, run).finally(() => void first.runner.close())
      return await dying
    },
  }
  first.start()
  await assert.rejects(first.runner.whenEnded('b1'))
  assert.equal(world.source.vms.get(VM_ID)?.state, 'paused')
  assert.equal(world.source.snapshots.taken.size, 1)

  world.source.snapshots.dieInTake = false
  agents.services.snapshots = world.source.snapshots.seam
  const second = agents.boot()
  await second.recover()
  assertAtEase(world)
  assert.equal((await second.runner.whenEnded('b1')).state, 'undone')
  second.start({}, 'b2')
  assert.equal((await second.runner.whenEnded('b2')).state, 'done', 'the next run works')
})

test('killed while it sends, and the vault is away since: undone all the same, no snapshot waits for it', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const begun = holdTransfer(world)
  const first = agents.boot()
  first.start()
  await begun
  await first.runner.close()
  assert.equal(world.source.snapshots.taken.size, 1)

  world.vault.state = 'unavailable'
  const second = agents.boot()
  await second.recover()
  assertAtEase(world)
  assert.equal((await second.runner.whenEnded('b1')).state, 'undone')
})

test('killed after the vault listed it: it is done', async () => {
  const world = backupWorld()
  const agents = createAgents(world)
  const first = agents.boot()
  const { backup } = agents.services.transfer
  agents.services.transfer = {
    ...agents.services.transfer,
    backup: async (job, options) => {
      await backup(job, options)
      void first.runner.close()
      throw new LifeboatError('unavailable', 'killed before the answer')
    },
  }
  first.start()
  await assert.rejects(first.runner.whenEnded('b1'))

  const second = agents.boot()
  await second.recover()
  const view = await second.runner.whenEnded('b1')
  assert.equal(view.state, 'done')
  assert.equal((view.results.send as { point: string }).point, POINT_NAME)
  assertAtEase(world)
})

test('snapshots that no backup owns are collected; a base goes when its VM is not here any more', async () => {
  const world = backupWorld()
  const { taken } = world.source.snapshots
  const add = (backupId: string, base: boolean) =>
    taken.set(`${DISK}@${backupId}`, { backupId, text: '', base })
  const vm8 = VM_ID.slice(0, 8)
  add(`b-20260101T000000Z-${vm8}`, false)
  add(`b-20260102T000000Z-${vm8}`, true)
  const { collect, start, runner } = createAgents(world).boot()
  const begun = holdTransfer(world)
  start()
  await begun
  await collect(undefined)
  const left = () => [...taken.values()].map(({ backupId }) => backupId).sort()
  assert.deepEqual(left(), [`b-20260102T000000Z-${vm8}`, `b-${POINT_NAME}-${vm8}`])
  await collect([VM_ID])
  assert.equal(left().length, 2)
  const others: (readonly string[])[] = []
  world.source.services.transfer.forgetOthers = vmIds => void others.push(vmIds)
  await collect(undefined)
  assert.deepEqual(others, [], 'nothing is forgotten while it is not known which VMs are here')
  await collect([])
  assert.deepEqual(others, [[]])
  assert.deepEqual(left(), [`b-${POINT_NAME}-${vm8}`], 'that of a backup at work is not touched')
  runner.abort('b1')
  await runner.whenEnded('b1')
})
