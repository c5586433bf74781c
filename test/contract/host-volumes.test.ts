import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { VolumeInfo } from '../../agent/storage/volumes.ts'
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
const withoutGroups = createScriptedRunner([
  { argv: ['vgs', '...'], stdout: '{"report":[{"vg":[]}]}' },
  { argv: ['lvs', '...'], stdout: '{"report":[{"lv":[]}]}' },
])

function hostVolumes(reader: CommandRunner, directory: string) {
  return createHostVolumes({
    run: reader,
    clock: systemClock,
    log: silentLogger,
    directories: () => [directory],
  })
}

function fillWithOldBytes(path: string): void {
  const fd = openSync(path, 'r+')
  try {
    const block = Buffer.alloc(MIB, 0xee)
    for (let at = 0; at < SIZE_BYTES; at += MIB) writeSync(fd, block, 0, MIB, at)
  } finally {
    closeSync(fd)
  }
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

/** On a blade of the lab: LIFEBOAT_TEST_VG names a group with 64 MiB to spare and, for thin, a pool called `pool`. */
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
        const names = tool('lvs', '--noheadings', '-o', 'lv_name', group).toString().split('\n')
        for (const name of names.map(text => text.trim())) {
          if (/^(lifeboat-kept\..*)?contract-/.test(name)) tool('lvremove', '-qq', '-y', `${group}/${name}`)
        }
      },
    }
  }
}

volumesContract('raw files of this host', fileHost)

const group = process.env.LIFEBOAT_TEST_VG
if (group !== undefined) {
  volumesContract(`thick LVs of ${group}`, lvmHost(group, 'thick'))
  volumesContract(`thin LVs of ${group}/pool`, lvmHost(group, 'thin'))
}
