import { mkdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import { writeDurably } from '../../shared/durable-file.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'

/** Who this host is, and to whom it belongs: what `join` wrote. */
export interface BladeIdentity {
  /** Its name; of a vault, the vault's: the file is the same. */
  readonly blade: string
  /** host:port of the controller. */
  readonly controller: string
  readonly identity: Identity
}

const schema = z.object({
  blade: z.string().min(1),
  controller: z.string().min(1),
  certificate: z.string().min(1),
  key: z.string().min(1),
  authority: z.string().min(1),
})

/**
 * One file, not three: key and certificate belong together, and a renewal killed between two renames would leave
 * an agent that can never speak to its controller again.
 */
export function identityPath(stateDir: string): string {
  return join(stateDir, 'identity', 'identity.json')
}

/** Undefined when this host has not joined. Throws `bad-input` for a file that cannot be understood. */
export async function readIdentity(stateDir: string): Promise<BladeIdentity | undefined> {
  const path = identityPath(stateDir)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LifeboatError('unavailable', `cannot read ${path}`, { cause: error })
  }
  try {
    const { blade, controller, certificate, key, authority } = schema.parse(JSON.parse(text))
    return {
      blade,
      controller,
      identity: { certificatePem: certificate, privateKeyPem: key, authorityPem: authority },
    }
  } catch (error) {
    throw new LifeboatError('bad-input', `${path} is damaged: join again, with --force`, {
      cause: error,
    })
  }
}

/** Replaces the file as a whole; mode 0600. */
export function writeIdentity(stateDir: string, value: BladeIdentity): void {
  const { certificatePem, privateKeyPem, authorityPem } = value.identity
  const content = {
    blade: value.blade,
    controller: value.controller,
    certificate: certificatePem,
    key: privateKeyPem,
    authority: authorityPem,
  }
  // The parent may be shared with a controller on this host, which runs under a user of its own.
  mkdirSync(dirname(stateDir), { recursive: true })
  writeDurably(identityPath(stateDir), `${JSON.stringify(content, null, 2)}\n`, 0o600, 0o700)
}
