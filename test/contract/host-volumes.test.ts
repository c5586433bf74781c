import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { closeSync, fsyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import type { VolumeExtent, VolumeInfo } from '../../agent/storage/volumes.ts'
import { createHostVolumes } from '../../agent/storage/volumes-host.ts'
import { systemClock } from '../../shared/clock.ts'
import type { StorageKind } from '../../shared/domain/fleet.ts'
import { MIB } from '../../shared/domain/units.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import { createCommandRunner } from '../../shared/exec-node.ts'
import { silentLogger } from '../../shared/log.ts'
import { createScriptedRunner } from '../fakes/scripted-runner.ts'
import { type VolumesUnderTest, volumesContract } from './volumes.ts'

const SIZE_BYTES = 8 * MIB
const run = createCommandRunner(systemClock)

/** LVM of a blade that has none: the files are checked on any machine, with or without lvm2. */
const withoutGroups = createScriptedRunner([{ argv: ['lvm', 'fullreport', '...'], stdout: '{"report":[]}' }])

function hostVolumes(reader: CommandRunner, directory: string) {
  return createHostVolumes({
    run: reader,
    clock: systemClock,
    log: silentLogger,
    directories: () => [directory],
  })
}

function fillWithOldBytes(path: string, sizeBytes = SIZE_BYTES): void {
  const fd = openSync(path, 'r+')
  try {
    const block = Buffer.alloc(MIB, 0xee)
    for (let at = 0; at < sizeBytes; at += MIB) writeSync(fd, block, 0, MIB, at)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

async function* oneExtent(offsetBytes: number): AsyncIterable<VolumeExtent> {
  yield { offsetBytes, data: Buffer.alloc(4096, 9) }
}

async function fileHost(): Promise<VolumesUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), 'lifeboat-files-'))
  const blank = (name: string): VolumeInfo => ({
    path: join(directory, `${name}.img`),
    storage: 'file',
    pool: directory,
    sizeBytes: SIZE_BYTES,
    allocatedBytes: 0,
    format: 'raw',
  })
  return {
    volumes: hostVolumes(withoutGroups, directory),
    run,
    blank,
    async foreign(name) {
      const volume = blank(name)
      closeSync(openSync(volume.path, 'wx'))
      fillWithOldBytes(volume.path)
      return volume
    },
    async close() {
      rmSync(directory, { recursive: true })
    },
  }
}

/**
 * On a blade of the lab: LIFEBOAT_TEST_VG names a group with 200 MiB to spare and an unused thin pool called `pool`
 * that was made with -Zn. The tests fill that pool and remove what is called contract-*.
 */
function lvmHost(group: string, storage: Exclude<StorageKind, 'file'>): () => Promise<VolumesUnderTest> {
  return async () => {
    const tool = (...argv: string[]) => execFileSync(argv[0] ?? '', argv.slice(1), { stdio: 'pipe' })
    const pool = storage === 'thin' ? `${group}/pool` : group
    const blank = (name: string): VolumeInfo => ({
      path: `/dev/${group}/contract-${name}`,
      storage,
      pool,
      sizeBytes: SIZE_BYTES,
      allocatedBytes: SIZE_BYTES,
      format: 'raw',
    })
    return {
      volumes: hostVolumes(run, join(tmpdir(), 'lifeboat-no-such-directory')),
      run,
      blank,
      async foreign(name) {
        const volume = blank(name)
        const size = `${SIZE_BYTES}b`
        if (storage === 'thin')
          tool('lvcreate', '-qq', '-y', '-V', size, '-T', pool, '-n', `contract-${name}`)
        else tool('lvcreate', '-qq', '-y', '-L', size, '-n', `contract-${name}`, group)
        fillWithOldBytes(volume.path)
        return volume
      },
      async close() {
        // Asked anew each time: a snapshot goes with its origin.
        for (;;) {
          const names = tool('lvs', '--noheadings', '-o', 'lv_name', group).toString().split('\n')
          const ours = names
            .map(text => text.trim())
            .find(name => /^(lifeboat-kept\..*)?contract-/.test(name))
          if (ours === undefined) return
          tool('lvremove', '-qq', '-y', `${group}/${ours}`)
        }
      },
    }
  }
}

volumesContract('raw files of this host', fileHost)

const hasQemuImg = spawnSync('qemu-img', ['--version']).status === 0
describe('qcow2 files of this host', { skip: hasQemuImg ? false : 'qemu-img is not installed' }, () => {
  it('a copied container is whole and holds the same disk', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'lifeboat-qcow2-'))
    try {
      const volumes = hostVolumes(withoutGroups, directory)
      const [raw, source, target] = ['disk.raw', 'web01.qcow2', 'web02.qcow2'].map(name =>
        join(directory, name),
      )
      assert.ok(raw && source && target)
      closeSync(openSync(raw, 'wx'))
      fillWithOldBytes(raw)
      execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, source])
      // Grown after it was filled: clusters nobody wrote follow the data.
      execFileSync('qemu-img', ['resize', '-q', source, '64M'])
      const info = (await volumes.inspect([source])).get(source)
      assert.ok(info && !('error' in info), JSON.stringify(info))
      assert.deepEqual([info.format, info.sizeBytes], ['qcow2', 64 * MIB])
      await volumes.create({ ...info, path: target }, 'move-1', run)
      await volumes.write(target, volumes.read(source, new AbortController().signal))
      execFileSync('qemu-img', ['check', '-q', target])
      execFileSync('qemu-img', ['compare', '-q', source, target])
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

const group = process.env.LIFEBOAT_TEST_VG
if (group !== undefined) {
  volumesContract(`thick LVs of ${group}`, lvmHost(group, 'thick'))
  volumesContract(`thin LVs of ${group}/pool`, lvmHost(group, 'thin'))

  it('a thin pool that does not zero new chunks shows no old byte beside the copied ones', async () => {
    const tool = (...argv: string[]) =>
      execFileSync(argv[0] ?? '', argv.slice(1), { stdio: 'pipe' }).toString()
    const zeroes = tool('lvs', '--noheadings', '-o', 'zero', `${group}/pool`).trim()
    assert.equal(zeroes, '', `${group}/pool zeroes new chunks: make it with lvcreate -Zn`)
    const host = await lvmHost(group, 'thin')()
    try {
      // Every chunk of the pool gets old bytes, or the next volume might be given a fresh one.
      const poolBytes = Number(
        tool('lvs', '--noheadings', '--units', 'b', '--nosuffix', '-o', 'lv_size', `${group}/pool`),
      )
      tool('lvcreate', '-qq', '-y', '-V', `${poolBytes}b`, '-T', `${group}/pool`, '-n', 'contract-filler')
      fillWithOldBytes(`/dev/${group}/contract-filler`, poolBytes)
      tool('lvremove', '-qq', '-y', `${group}/contract-filler`)
      const volume = host.blank('web01')
      await host.volumes.create(volume, 'move-1', host.run)
      await host.volumes.write(volume.path, oneExtent(65536 + 4096))
      const seen = readFileSync(volume.path)
      const expected = Buffer.alloc(volume.sizeBytes)
      expected.fill(9, 65536 + 4096, 65536 + 8192)
      assert.ok(expected.equals(seen))
    } finally {
      await host.close()
    }
  })

  it('an LV with the longest name that LVM takes can be kept and given back, snapshot and all', async () => {
    const host = await lvmHost(group, 'thick')()
    try {
      // LVM leaves a device suspended when a rename makes its mapper name too long.
      const volume = await host.foreign('a-'.repeat(32))
      const snapshot = ['lvcreate', '-qq', '-y', '-s', '-L', '4M', '-n', 'contract-snap', volume.path]
      execFileSync(snapshot[0] ?? '', snapshot.slice(1), { stdio: 'pipe' })
      const kept = await host.volumes.keep(volume.path, 'move-1', host.run)
      await assert.rejects(host.volumes.drop(kept, host.run), /has a snapshot/)
      await host.volumes.unkeep(volume.path, 'move-1', host.run)
      const state = execFileSync('dmsetup', ['info', '-c', '--noheadings', '-o', 'suspended']).toString()
      assert.doesNotMatch(state, /Suspended/)
    } finally {
      await host.close()
    }
  })
}
