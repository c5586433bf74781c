import { join } from 'node:path'
import type { Identity } from '../../../../shared/rpc/certificates.ts'
import { DEPOT, NAMESPACE } from '../../hosts.ts'
import type { Lab } from '../../lab.ts'
import { must } from '../../run.ts'

/** One call to the controller by somebody. Without `identity` no certificate is shown. */
export interface Attempt {
  address: string
  call: 'report' | 'status' | 'join'
  identity?: Identity
  /** The blade to speak for (`report`). */
  blade?: string
  /** The secret of a token (`join`). */
  secret?: string
}

export interface AttemptResult {
  /** The controller did what was asked. */
  done: boolean
  /** Its refusal, otherwise. */
  refusal: string
}

/** Makes the call from the operator's place in the lab's network, by a process of its own. */
export async function tryCall(attempt: Omit<Attempt, 'address'>): Promise<AttemptResult> {
  const words = JSON.stringify({ ...attempt, address: `${DEPOT.address}:7420` } satisfies Attempt)
  const script = join(import.meta.dirname, 'stranger.ts')
  const inNetwork = ['nsenter', `--net=/run/netns/${NAMESPACE}`]
  return JSON.parse(await must([...inNetwork, process.execPath, script, words])) as AttemptResult
}

/** What a blade's agent shows of itself: as if its disk had been stolen. */
export async function identityOf(lab: Lab, blade: string): Promise<Identity> {
  const text = await lab.mustExec(blade, ['cat', '/var/lib/lifeboat/agent/identity/identity.json'])
  const { certificate, key, authority } = JSON.parse(text) as Record<string, string>
  if (certificate === undefined || key === undefined || authority === undefined)
    throw new Error(`${blade}: its identity has another form than expected`)
  return { certificatePem: certificate, privateKeyPem: key, authorityPem: authority }
}

/** The secret inside `lifeboat1.…`, for a client that sends it without looking at the token's date. */
export function secretOf(token: string): string {
  const content = Buffer.from(token.slice(token.indexOf('.') + 1), 'base64url').toString('utf8')
  return (JSON.parse(content) as { secret: string }).secret
}

/** The controller's journal since a moment of the depot's clock, as `journalctl --since` takes it. */
export function controllerLog(lab: Lab, sinceMs: number): Promise<string> {
  const since = `@${Math.floor(sinceMs / 1_000)}`
  return lab.mustExec('depot', ['journalctl', '-u', 'lifeboat-controller', '--no-pager', '--since', since])
}
