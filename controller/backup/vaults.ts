import type { RetentionPolicies } from '../../proto/gen/lifeboat/v1/vault.ts'
import type { Clock } from '../../shared/clock.ts'
import { MINUTE_MS, SECOND_MS } from '../../shared/domain/units.ts'
import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Store } from '../store/store.ts'
import type { VaultClients } from './vault-client.ts'

const LOOK_MS = 1 * MINUTE_MS
/** One that does not answer is waited for: much hangs on it. */
const WAIT_MS = 10 * SECOND_MS
/** Looks that are asked for come in bursts: eight backups end together. */
const COALESCE_MS = 200
const LIMIT_MS = 10 * SECOND_MS

/**
 * Keeps what the store knows of the vaults fresh, and tells the vaults what they must know: retention, and what became
 * of boot tests. A vault that is away keeps nobody waiting; what it said last stays, with its age.
 */
export interface Vaults {
  /** Something happened at a vault: look now and not in a minute. */
  look(): void
  /** One look at one vault, now. Never rejects: that it does not answer is a fact too. */
  lookAt(vault: string): Promise<void>
  /** Whether a vault answers now, for whoever asks how it is; at most its status is read. Never rejects. */
  ping(vault: string): Promise<void>
  close(): Promise<void>
}

export interface VaultsOptions {
  readonly store: Store
  readonly clients: VaultClients
  readonly clock: Clock
  readonly log: Logger
  /** What the vaults shall keep, as the policies are now. */
  readonly retention: () => RetentionPolicies
  readonly onChange: () => void
}

/** Begins to look at once. */
export function createVaults(options: VaultsOptions): Vaults {
  const { store, clients, clock, log, onChange } = options
  const stop = new AbortController()
  const told = new Map<string, string>()
  let wake = Promise.withResolvers<void>()

  const ask: VaultClients['ask'] = (vault, method, request, limits) =>
    clients.ask(vault, method, request, { ...limits, signal: stop.signal })

  const readState = async (name: string) => {
    const askedAt = clock.now()
    const status = await ask(name, 'getVaultStatus', {}, { timeoutMs: LIMIT_MS })
    const now = clock.now()
    const { points } = await ask(name, 'listPoints', { vmId: '' }, { timeoutMs: 3 * LIMIT_MS })
    store.transaction(() => {
      if (store.vaults.get(name) === undefined) return
      const before = store.vaults.get(name)
      store.vaults.update(name, {
        status,
        version: status.version,
        seenAt: now,
        clockOffsetMs: Math.round(status.nowAt - (askedAt + now) / 2),
        error: '',
        failingSince: 0,
      })
      store.points.replace(name, points)
      if (before?.error !== '') log.info(`vault ${name}: answers again`)
    })
  }

  /** Whatever it may have been told by an earlier run: a restored vault has forgotten it. */
  const tellRetention = async (name: string) => {
    const policies = options.retention()
    const text = JSON.stringify(policies)
    if (told.get(name) === text) return
    await ask(name, 'setRetention', policies, { timeoutMs: LIMIT_MS })
    told.set(name, text)
    log.info(`vault ${name}: told what to keep`)
  }

  const tellBootTests = async (name: string) => {
    for (const test of store.backups.bootTests().toReversed()) {
      if (test.vault !== name || test.toldAt > 0) continue
      const { vmId, point, at, ok, recoveryMs, error } = test
      const record = { point: { vmId, point }, at, ok, recoveryMs, error }
      try {
        store.points.save(name, await ask(name, 'recordBoot', record, { timeoutMs: LIMIT_MS }))
      } catch (cause) {
        // A restore point that was pruned since then takes no record; asking for ever would change nothing.
        if (!isGone(cause)) throw cause
      }
      store.backups.bootTestTold(test.operation, clock.now())
    }
  }

  const failed = (name: string, error: unknown) => {
    if (stop.signal.aborted) return
    const text = wordsOf(error)
    const known = store.vaults.get(name)
    told.delete(name)
    if (known === undefined || known.error === text) return
    if (known.error === '') log.warn(`vault ${name}: ${text}`)
    const failingSince = known.failingSince === 0 ? clock.now() : known.failingSince
    store.vaults.update(name, { error: text, failingSince })
  }

  const lookAt = async (name: string) => {
    try {
      await readState(name)
      await tellRetention(name)
      await tellBootTests(name)
    } catch (error) {
      failed(name, error)
    }
    if (!stop.signal.aborted) onChange()
  }

  const ping = async (name: string) => {
    const known = store.vaults.get(name)
    if (known === undefined || known.joinedAt === 0) return
    // It is known to be well only when the whole look goes well.
    if (known.error !== '' || known.seenAt === 0) return await lookAt(name)
    try {
      const status = await ask(name, 'getVaultStatus', {}, { timeoutMs: LIMIT_MS })
      if (store.vaults.get(name) !== undefined) store.vaults.update(name, { status, seenAt: clock.now() })
    } catch (error) {
      failed(name, error)
      if (!stop.signal.aborted) onChange()
    }
  }

  const loop = async () => {
    while (!stop.signal.aborted) {
      const joined = store.vaults.list().filter(vault => vault.joinedAt > 0)
      await Promise.all(joined.map(vault => lookAt(vault.name)))
      const away = store.vaults.list().some(vault => vault.joinedAt > 0 && vault.error !== '')
      const tick = new AbortController()
      await Promise.race([clock.sleep(away ? WAIT_MS : LOOK_MS, tick.signal), wake.promise])
      tick.abort()
      await clock.sleep(COALESCE_MS, stop.signal)
      wake = Promise.withResolvers<void>()
    }
  }
  const running = loop()

  return {
    look: () => wake.resolve(),
    lookAt,
    ping,
    close: async () => {
      stop.abort()
      wake.resolve()
      await running
      clients.close()
    },
  }
}

function isGone(error: unknown): boolean {
  return errorCode(error) === 'not-found'
}

/** Our own words of the chain: what the transport says below them names ports that change. */
function wordsOf(error: unknown): string {
  const words: string[] = []
  for (let at = error; at instanceof LifeboatError; at = at.cause) words.push(at.message)
  return words.length === 0 ? formatErrorChain(error) : words.join(': ')
}
