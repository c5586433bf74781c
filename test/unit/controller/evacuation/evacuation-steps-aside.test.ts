import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import type { Vm } from '../../../../shared/domain/fleet.ts'
import { GIB } from '../../../../shared/domain/units.ts'
import { soundCapacity, vm } from '../../../fakes/agent-reports.ts'
import { type EvacuationStage, evacuationStage } from '../../../fakes/evacuation-stage.ts'

describe('VMs step aside so that others fit', () => {
  let stage: EvacuationStage
  beforeEach(() => {
    stage = evacuationStage()
  })
  afterEach(() => stage.close())

  /** 14 GiB fit on neither of the other two while `small` is where it is. */
  const tight = () => {
    const capacity = { ...soundCapacity(), memoryBytes: 16 * GIB, reservedMemoryBytes: 0 }
    stage.report('blade01', [vm('large', 1, { memoryBytes: 14 * GIB })], capacity)
    stage.report('blade02', [vm('small', 2, { memoryBytes: 4 * GIB })], capacity)
    stage.report('blade03', [vm('other', 3, { memoryBytes: 6 * GIB })], capacity)
  }

  /** 80 GiB of disk fit on neither of the other two while `small` is where it is. */
  const tightDisks = () => {
    stage.report('blade01', [vm('large', 1, { volumes: disk(80) })])
    reportRoom('blade02', [vm('small', 2, { volumes: disk(60) })], 30, 0)
    reportRoom('blade03', [], 70, 0)
  }
  const disk = (gib: number): Vm['volumes'] =>
    vm('any', 9).volumes.map(volume => ({
      ...volume,
      path: `/dev/vg0/${gib}`,
      sizeBytes: gib * GIB,
      allocatedBytes: gib * GIB,
    }))
  const reportRoom = (blade: string, vms: Vm[], free: number, kept: number) => {
    const capacity = soundCapacity()
    const pools = capacity.pools.map(pool => ({
      ...pool,
      freeBytes: free * GIB,
      reclaimableBytes: kept * GIB,
    }))
    stage.report(blade, vms, { ...capacity, pools })
  }

  it('lets a VM step aside, and begins the move that needs its room when it has arrived', () => {
    tight()
    const id = stage.begin()
    assert.deepEqual(
      stage.store.evacuations
        .get(id)
        ?.moves.map(move => [move.vm, move.from, move.to, move.role, move.needs.length]),
      [
        ['small', 'blade02', 'blade03', 'makes-room', 0],
        ['large', 'blade01', 'blade02', 'leaves', 1],
      ],
    )
    stage.evacuations.advance()
    stage.evacuations.advance()
    assert.deepEqual(
      stage.started.map(move => move.vm.name),
      ['small'],
    )
    stage.boot()
    stage.arrive('small', 'blade02', 'blade03')
    stage.evacuations.advance()
    assert.deepEqual(
      stage.started.map(move => move.vm.name),
      ['small', 'large'],
    )
    stage.arrive('large', 'blade01', 'blade02')
    stage.evacuations.advance()
    assert.match(
      stage.store.operations.get(id)?.outcome ?? '',
      /^1 of 1 VMs moved in .*, 1 other stepped aside$/,
    )
  })

  it('a VM whose room was not made has a plan of its own made, and stays with the reason when that finds none', () => {
    tight()
    const id = stage.begin()
    stage.evacuations.advance()
    stage.finish('small', 'undone')
    stage.evacuations.advance()
    stage.evacuations.advance()
    assert.equal(stage.started.length, 1)
    const operation = stage.store.operations.get(id)
    assert.equal(operation?.state, 'needs-admin')
    assert.match(
      operation?.outcome ?? '',
      /left on blade01: large \(large needs 14 GiB of memory, blade02 has 12 GiB/,
    )
  })

  it('does not judge the room that was made by figures of before: it waits for the report that has it', () => {
    tightDisks()
    stage.begin()
    stage.evacuations.advance()
    stage.now += 60_000
    stage.finish('small', 'done')
    stage.evacuations.advance()
    stage.now += 1_000
    reportRoom('blade02', [], 30, 0)
    stage.evacuations.advance()
    assert.equal(stage.started.length, 1)
    stage.now += 4_000
    reportRoom('blade02', [], 30, 60)
    stage.evacuations.advance()
    assert.deepEqual(
      stage.started.map(move => `${move.vm.name} to ${move.to}`),
      ['small to blade03', 'large to blade02'],
    )
  })

  it('waits no longer than that report can take', () => {
    tightDisks()
    const id = stage.begin()
    stage.evacuations.advance()
    stage.finish('small', 'done')
    stage.now += 16_000
    stage.evacuations.advance()
    stage.evacuations.advance()
    assert.match(
      stage.store.operations.get(id)?.outcome ?? '',
      /left on blade01: large \(large needs 80 GiB in vg0/,
    )
  })

  it('nobody steps aside for a VM that an administrator has taken away meanwhile', () => {
    tight()
    const id = stage.begin()
    stage.report('blade01', [])
    stage.evacuations.advance()
    stage.evacuations.advance()
    assert.deepEqual(stage.started, [])
    assert.deepEqual(stage.states(id), ['small skipped', 'large skipped'])
    assert.equal(stage.store.operations.get(id)?.state, 'done')
  })

  it('waits for no VM on a blade that has fallen silent: the one that needs its room looks elsewhere at once', () => {
    tight()
    const id = stage.begin()
    stage.now += 2e10
    for (const blade of ['blade01', 'blade03']) {
      const known = stage.store.blades.get(blade)?.report
      assert.ok(known)
      const vms = blade === 'blade03' ? [] : known.vms
      stage.fleet.accept(blade, { ...known, sequence: 4, vms }, stage.now)
    }
    stage.evacuations.advance()
    stage.evacuations.advance()
    assert.deepEqual(
      stage.started.map(move => `${move.vm.name} to ${move.to}`),
      ['large to blade03'],
    )
    assert.deepEqual(stage.states(id), ['small skipped', 'large skipped', 'large running'])
  })
})
