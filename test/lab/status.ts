import { readSupplies } from './bmc.ts'
import { activeGuests } from './guest/fleet.ts'
import { bladesOf, DEPOT, type Host } from './hosts.ts'
import { requireLabRecord } from './place.ts'
import { exec } from './ssh.ts'
import { isPowered } from './uml/uml.ts'

/** One line per host, as the lab itself sees it (the product has its own `lifeboat status`). */
export async function describeStatus(): Promise<string> {
  const record = requireLabRecord()
  const lines = await Promise.all([...bladesOf(record.blades), DEPOT].map(describeHost))
  const supplies = await readSupplies().catch(() => ['the chassis BMC does not answer'])
  return [
    `image ${record.imageKey}, ${record.product ? 'with' : 'without'} the product`,
    ...lines,
    ...supplies,
  ].join('\n')
}

async function describeHost(host: Host): Promise<string> {
  const label = host.name.padEnd(8)
  if (!isPowered(host.name)) return `${label} off`
  const unit = host.role === 'depot' ? 'lifeboat-controller' : 'lifeboat-agent'
  const script = `cut -d' ' -f1 /proc/uptime; systemctl is-active ${unit}; grep -o '\\[[U_]*\\]$' /proc/mdstat; grep -h 'Active Slave' /proc/net/bonding/bond0; true`
  const result = await exec(host, ['sh', '-c', script], { timeoutMs: 20_000 })
  if (result.code !== 0) return `${label} on, does not answer`
  const [uptime, active, ...rest] = result.stdout.toString('utf8').trim().split('\n')
  const guests = host.role === 'blade' ? ` guests: ${(await activeGuests(host))?.join(' ') || '-'}` : ''
  return `${label} on, up ${uptime} s, ${unit} ${active}, ${rest.join(', ').toLowerCase()}${guests}`
}
