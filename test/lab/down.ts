import { rmSync } from 'node:fs'
import { stopBmc } from './bmc.ts'
import { LabError } from './errors.ts'
import { hostsOf } from './hosts.ts'
import { processesInNetwork, removeNetwork } from './network.ts'
import { eraseDisks, RUN_DIR, readLabRecord, SHARE_DIR, SOCKET_DIR } from './place.ts'
import { say } from './say.ts'
import { dropConnection } from './ssh.ts'
import { cutPower } from './uml/uml.ts'
import { waitFor } from './wait.ts'

/** Takes the lab down. Its disks stay, so that `up` goes on where it was, unless `all` is given; the image stays. */
export async function down(options: { all?: boolean }): Promise<void> {
  const stopped = await stopEverything()
  say(stopped.length === 0 ? 'nothing was running' : `down: ${stopped.join(', ')}`)
  if (options.all) {
    eraseDisks()
    rmSync(SHARE_DIR, { recursive: true, force: true })
    say('disks removed')
  }
}

/** Kills what the lab runs, each process by its recorded identity, and removes its namespace. */
export async function stopEverything(): Promise<string[]> {
  const stopped: string[] = []
  for (const host of hostsOf(9)) {
    if (readLabRecord() !== undefined) await dropConnection(host)
    if (await cutPower(host.name)) stopped.push(host.name)
  }
  if (await cutPower('seal')) stopped.push('seal')
  if (await stopBmc()) stopped.push('the chassis BMC')
  // A killed kernel takes its user processes with it, but not in the same instant:
  // on a busy machine it takes seconds to give their memory back.
  await waitFor(
    'end of all processes in the lab',
    async () => (await processesInNetwork()).length === 0,
    60_000,
  ).catch(async cause => {
    const left = (await processesInNetwork()).join(' ')
    throw new LabError(`processes not started by the lab live in its namespace: ${left}`, {
      cause,
      next: `ps ${left}`,
    })
  })
  await removeNetwork()
  rmSync(RUN_DIR, { recursive: true, force: true })
  rmSync(SOCKET_DIR, { recursive: true, force: true })
  return stopped
}
