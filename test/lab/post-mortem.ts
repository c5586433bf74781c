import { bladesOf, DEPOT, type Host } from './hosts.ts'
import { requireLabRecord } from './place.ts'
import { tail } from './run.ts'
import { say } from './say.ts'
import { exec } from './ssh.ts'
import { isPowered } from './uml/uml.ts'

const LIMIT_MS = 30_000

/** What a person would look at first on a host where a story failed: short, since it is read at the end of a long log. */
const LOOK = `systemctl --failed --no-legend --plain
df --output=target,avail,pcent -h / | tail -n 1
free -m | sed -n 2p
journalctl --quiet --no-pager --boot --dmesg --priority=err --lines=5 --output=short
journalctl --quiet --no-pager --boot --unit='lifeboat-*' --priority=warning --lines=12 --output=short | cut -c -400`

/** Prints, for each host of the lab, what its kernel and its units complained of last. Best effort: throws nothing. */
export async function tellPostMortem(): Promise<void> {
  for (const host of [DEPOT, ...bladesOf(requireLabRecord().blades)]) say(await look(host))
}

async function look(host: Host): Promise<string> {
  if (!isPowered(host.name)) return `${host.name}: is off`
  try {
    const result = await exec(host, ['sh', '-c', LOOK], { timeoutMs: LIMIT_MS })
    const words = result.stdout.toString('utf8').trim()
    return `${host.name}:\n${result.code === 0 ? words : `${words}\n${tail(result)}`}`
  } catch (error) {
    return `${host.name}: cannot be looked at: ${error}`
  }
}
