import type { AddVaultRequest, VaultView } from '../../proto/gen/lifeboat/v1/admin.ts'
import { parseBladeName } from '../../shared/domain/ids.ts'
import { HOUR_MS, MINUTE_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { vaultAddress } from '../../shared/rpc/address.ts'
import { issueToken } from '../enrolment/tokens.ts'
import type { VaultRecord } from '../store/vaults.ts'
import type { AdminHandlers, ApiContext, AsyncAdminHandlers } from './context.ts'
import { requireVault, tokenMinutes } from './find.ts'

/** It reads every index and looks at every chunk. As long as the CLI waits. */
const COLLECT_LIMIT_MS = 6 * HOUR_MS
const ASK_LIMIT_MS = MINUTE_MS

/** Vaults: add and remove. Unknown ones are `not-found`. */
export function vaultHandlers(context: ApiContext): Pick<AdminHandlers, 'addVault' | 'removeVault'> {
  const { store, clock } = context
  return {
    addVault: (request, caller) => addVault(context, request, caller),
    removeVault: ({ name }, caller) => {
      requireVault(store, name)
      const busy = store.operations.active().find(operation => operation.point !== '')
      if (busy !== undefined) {
        throw new LifeboatError(
          'busy',
          `operation ${busy.id} reads a restore point; lifeboat operation watch ${busy.id}`,
        )
      }
      store.transaction(() => {
        store.tokens.removeOf(name)
        store.vaults.remove(name)
        store.points.forget()
        store.stories.tell('fleet', '', clock.now(), `vault ${name} removed by ${caller}`)
      })
      context.clients.drop(name)
      context.log.info(`vault ${name}: removed by ${caller}; what it keeps stays where it is`)
      context.nudge()
      return {}
    },
  }
}

/** What only the vault itself can do; each answers when it has. */
export function vaultWorkHandlers(
  context: ApiContext,
): Pick<AsyncAdminHandlers, 'listVaults' | 'scrubVault' | 'collectVault'> {
  const { store, clients, vaults } = context
  return {
    // Asked now: that one answered some seconds ago is not what a person who looks wants to know.
    listVaults: async () => {
      await Promise.all(store.vaults.list().map(({ name }) => vaults.ping(name)))
      return { vaults: store.vaults.list().map(vaultToWire) }
    },
    scrubVault: async ({ name, stop }, caller) => {
      const vault = requireVault(store, name)
      await clients.ask(vault.name, 'scrub', { stop }, { timeoutMs: ASK_LIMIT_MS })
      context.log.info(`vault ${vault.name}: scrub ${stop ? 'ended' : 'begun'} by ${caller}`)
      await vaults.lookAt(vault.name)
      return vaultToWire(requireVault(store, vault.name))
    },
    collectVault: async ({ name, dryRun }, caller) => {
      const vault = requireVault(store, name)
      const report = await clients.ask(vault.name, 'collect', { dryRun }, { timeoutMs: COLLECT_LIMIT_MS })
      if (!dryRun) {
        context.log.info(`vault ${vault.name}: ${report.chunks} chunks collected, asked for by ${caller}`)
        vaults.look()
      }
      return report
    },
  }
}

function addVault(
  context: ApiContext,
  request: Parameters<AdminHandlers['addVault']>[0],
  caller: string,
): ReturnType<AdminHandlers['addVault']> {
  const { store, clock } = context
  const name = parseVaultName(request.name)
  const known = store.vaults.get(name)
  const address = addressFor(name, known, request)
  // The name stands in certificates: whoever has it is taken for its bearer.
  if (name === 'controller' || store.blades.get(name) !== undefined) {
    throw new LifeboatError(
      'already-exists',
      `${name} is the name of ${name === 'controller' ? 'the controller' : 'a blade'}`,
    )
  }
  const minutes = tokenMinutes(request.tokenTtlMinutes)
  const now = clock.now()
  const token = store.transaction(() => {
    if (known === undefined) store.vaults.add({ name, address, addedAt: now })
    else store.vaults.update(name, { address })
    store.stories.tell('fleet', '', now, `vault ${name}: token made by ${caller}`)
    return issueToken(
      store.tokens,
      context.ids,
      { name, role: 'vault' },
      context.authorityFingerprint,
      now,
      minutes * MINUTE_MS,
    )
  })
  context.log.info(`vault ${name}: added by ${caller} at ${address}, token good for ${minutes} min`)
  context.vaults.look()
  return {
    name,
    token: token.text,
    expiresAt: token.expiresAt,
    joinCommand: `lifeboat-vault join --controller ${context.joinAddress()} ${token.text}`,
  }
}

/** It stands in certificates as a blade's name does, and is as strict. Throws `bad-input`. */
function parseVaultName(text: string): string {
  try {
    return parseBladeName(text)
  } catch {
    throw new LifeboatError(
      'bad-input',
      `'${text}' is not a vault name: lower-case letters, digits and '-', at most 63`,
    )
  }
}

/**
 * Where it is looked for from now on. A vault that has joined is moved only when that is said: at a wrong address
 * every backup would fail.
 */
function addressFor(
  name: string,
  known: VaultRecord | undefined,
  { address: text, replace }: Pick<AddVaultRequest, 'address' | 'replace'>,
): string {
  if (text === '' && known !== undefined) return known.address
  if (text === '') {
    throw new LifeboatError('bad-input', `where is the vault ${name}? Its host[:port] is needed`)
  }
  const address = vaultAddress(text)
  if (known === undefined || known.joinedAt === 0 || known.address === address || replace) return address
  throw new LifeboatError(
    'already-exists',
    `${name} has joined already, at ${known.address}: to move it there type \`lifeboat vault add ${name} --address ${address} --replace\``,
  )
}

/** What is known of a vault, with when it was last seen: it may be away. */
function vaultToWire(vault: VaultRecord): VaultView {
  return {
    name: vault.name,
    address: vault.address,
    enrolment: vault.joinedAt > 0 ? 'joined' : 'waiting',
    reachable: vault.seenAt > 0 && vault.error === '',
    error: vault.error,
    status: vault.status,
    seenAt: vault.seenAt,
  }
}
