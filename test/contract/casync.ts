import assert from 'node:assert/strict'

/** Where the interop is tried: here, or on a host of the lab. */
export interface CasyncHost {
  /** Runs a command line of /bin/sh and gives what it printed, without the last newline; rejects when it fails. */
  shell(command: string): Promise<string>
  /** How `lifeboat-vault` is called there, as words of a shell. */
  readonly program: string
  /** An empty folder for it all. */
  readonly folder: string
}

/** Data, holes, the same data again, a tail that is no whole chunk. */
const MAKE_IMAGE = [
  'seq 1 400000 | head -c 2500000 > disk.raw',
  'head -c 3000000 /dev/zero >> disk.raw',
  'seq 1 400000 | head -c 2500000 >> disk.raw',
  'truncate -s 12345678 disk.raw',
].join(' && ')

/** What the vault keeps is read by Debian's casync alone; what casync keeps is read by us. */
export async function casyncInterop({ shell, program, folder }: CasyncHost): Promise<void> {
  const at = async (command: string) => await shell(`cd '${folder}' && ${command}`)
  const sumOf = async (path: string) => (await at(`sha256sum ${path}`)).split(' ')[0]
  await at(MAKE_IMAGE)
  const wanted = await sumOf('disk.raw')

  await at(`${program} add web01 disk.raw --vault vault`)
  await at('casync extract --store=vault/store vault/points/*/*/vda.caibx by-casync.raw')
  assert.equal(await sumOf('by-casync.raw'), wanted, 'casync extract of our index and store')

  for (const digest of ['sha512-256', 'sha256']) {
    await at(`casync make --digest=${digest} --store=${digest}.castr ${digest}.caibx disk.raw`)
    await at(`${program} extract ${digest}.caibx --store ${digest}.castr --to ${digest}.raw`)
    assert.equal(await sumOf(`${digest}.raw`), wanted, `our extract of casync make --digest=${digest}`)
  }
}
