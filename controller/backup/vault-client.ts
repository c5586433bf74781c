import { VaultControlClient } from '../../proto/gen/lifeboat/v1/vault.ts'
import { isRetryable, LifeboatError } from '../../shared/errors.ts'
import type { Identity } from '../../shared/rpc/certificates.ts'
import {
  channelOptions,
  createChannelCredentials,
  type RequestOf,
  type RequestOptions,
  type ResponseOf,
  type UnaryNames,
  unary,
} from '../../shared/rpc/endpoint.ts'
import { systemWords } from '../../shared/rpc/system-words.ts'
import type { Store } from '../store/store.ts'

type Methods = UnaryNames<VaultControlClient>

/** The controller's way to the vaults of the fleet. */
export interface VaultClients {
  /**
   * One question to one vault. Errors: what the vault says, `not-found` for one that is not in the fleet, `refused` for
   * one that has not joined, `unavailable`, `timeout`; each names the vault.
   */
  ask<Method extends Methods>(
    vault: string,
    method: Method,
    request: RequestOf<VaultControlClient[Method]>,
    options: RequestOptions,
  ): Promise<ResponseOf<VaultControlClient[Method]>>
  /** Forgets the connection: the vault was removed, or has another address. */
  drop(vault: string): void
  close(): void
}

interface Connection {
  readonly address: string
  readonly client: VaultControlClient
}

/** Dials each vault on first use; grpc-js keeps the connection and finds its way back. */
export function createVaultClients(store: Store, identity: Identity): VaultClients {
  const connections = new Map<string, Connection>()
  const drop = (vault: string) => {
    connections.get(vault)?.client.close()
    connections.delete(vault)
  }
  const connect = (vault: string): VaultControlClient => {
    const record = store.vaults.get(vault)
    if (record === undefined) {
      throw new LifeboatError('not-found', `there is no vault ${vault}; lifeboat vault list shows all`)
    }
    if (record.joinedAt === 0) {
      throw new LifeboatError(
        'refused',
        `the vault ${vault} has not joined yet; \`lifeboat vault add ${vault} --address ${record.address}\` makes a new token`,
      )
    }
    const known = connections.get(vault)
    if (known?.address === record.address) return known.client
    drop(vault)
    // The certificate must bear the vault's name, whatever answers at the address.
    const client = new VaultControlClient(
      record.address,
      createChannelCredentials(identity),
      channelOptions(vault),
    )
    connections.set(vault, { address: record.address, client })
    return client
  }
  return {
    ask: async (vault, method, request, options) => {
      const client = connect(vault)
      try {
        return await unary(client, method, request, options)
      } catch (error) {
        if (!isRetryable(error)) throw error
        throw noAnswer(vault, connections.get(vault)?.address ?? '', error as LifeboatError)
      }
    },
    drop,
    close: () => {
      for (const vault of [...connections.keys()]) drop(vault)
    },
  }
}

/**
 * Our words for what grpc-js says at length (pure). What the vault itself said has no cause, and stays. Of the rest, what is
 * not foreseen here hangs below, since it names ports that change.
 */
export function noAnswer(vault: string, address: string, error: LifeboatError): LifeboatError {
  if (error.cause === undefined)
    return new LifeboatError(error.code, `the vault ${vault} cannot do that now`, { cause: error })
  const told = String(error.cause).replace(/\s*Resolution note:.*$/s, '')
  const why = error.code === 'timeout' ? error.message : systemWords(told)
  const message = `the vault ${vault} does not answer at ${address}${why === undefined ? '' : `: ${why}`}; is lifeboat-vault running there? systemctl status lifeboat-vault`
  return new LifeboatError(error.code, message, why === undefined ? { cause: new Error(told) } : {})
}
