import { bootHost } from './boot.ts'
import { LabError } from './errors.ts'
import type { Host } from './hosts.ts'
import { imageDir } from './image/build.ts'
import { requireLabRecord } from './place.ts'
import { dropConnection, exec } from './ssh.ts'
import { cutPower, isPowered } from './uml/uml.ts'
import { waitFor } from './wait.ts'

export const POWER_ACTIONS = ['off', 'on', 'cut'] as const
export type PowerAction = (typeof POWER_ACTIONS)[number]

/** `off` shuts down in order, `cut` takes the current away, `on` starts from the same disks. Each is idempotent. */
export async function power(host: Host, action: PowerAction): Promise<void> {
  if (action === 'on') {
    if (!isPowered(host.name)) await bootHost(host, imageDir(requireLabRecord().imageKey))
    return
  }
  if (action === 'off' && isPowered(host.name)) await shutDown(host)
  await cutPower(host.name)
  await dropConnection(host)
}

async function shutDown(host: Host): Promise<void> {
  // --no-block: the answer must come back before the network goes. 255 is ssh losing that race, not a refusal.
  const result = await exec(host, ['systemctl', '--no-block', 'poweroff'], { timeoutMs: 20_000 })
  if (result.code !== 0 && result.code !== 255)
    throw new LabError(`${host.name} refused to power off: ${result.stderr}`)
  await waitFor(`power-off of ${host.name}`, async () => !isPowered(host.name), 120_000)
}
