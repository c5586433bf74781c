import type { HostFiles } from './host-files.ts'

const NET = '/sys/class/net'

/** Names of the Linux bridges of this blade, sorted. A network `bridge:br0` of a VM needs `br0` here. */
export async function listBridges(files: HostFiles): Promise<string[]> {
  const bridges: string[] = []
  for (const name of await files.list(NET)) {
    if ((await files.list(`${NET}/${name}/bridge`)).length > 0) bridges.push(name)
  }
  return bridges
}
