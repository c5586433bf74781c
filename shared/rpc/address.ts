import { isIPv4, isIPv6 } from 'node:net'
import { LifeboatError } from '../errors.ts'

/** gRPC of the controller: agents, and admin certificates. */
const CONTROLLER_PORT = 7420
/** Byte streams between the agents of two blades. */
export const PEER_PORT = 7422
/** gRPC of a vault, for the controller. Its door for agents is the next one, unless the vault says otherwise. */
export const VAULT_PORT = 7423

/** `10.0.0.3:7422` or `[fd00::3]:7422`. Throws `bad-input`. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 0 && port <= 65535)) {
    throw new LifeboatError('bad-input', `'${address}' is not an address of the form host:port`)
  }
  return { host, port }
}

/** Brackets around IPv6. */
export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** As a person types it: `10.0.0.1` → `10.0.0.1:7420`, `[fd00::1]` → `[fd00::1]:7420`; with a port it stays. */
export function controllerAddress(text: string): string {
  return withPort(text, CONTROLLER_PORT)
}

/** The same for a vault. It is kept and dialled for ever after, so what can be no address is `bad-input` at once. */
export function vaultAddress(text: string): string {
  const address = withPort(text, VAULT_PORT)
  const [, ipv6, host = '', port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address) ?? []
  const isHost = ipv6 === undefined ? isHostName(host) : isIPv6(ipv6)
  if (isHost && Number(port) >= 1 && Number(port) <= 65535) return address
  throw new LifeboatError(
    'bad-input',
    `'${text}' is not an address: a host name, an IPv4 address or [IPv6], and :port (1 to 65535) if it is not ${VAULT_PORT}`,
  )
}

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i

/** A DNS name or an IPv4 address; no top-level domain is a number, so `192.0.2.300` is neither. */
function isHostName(host: string): boolean {
  if (isIPv4(host)) return true
  const labels = host.split('.')
  return (
    host.length <= 253 && labels.every(label => DNS_LABEL.test(label)) && !/^\d+$/.test(labels.at(-1) ?? '')
  )
}

function withPort(text: string, port: number): string {
  return /^\[[^\]]+\]$|^[^:]+$/.test(text) ? `${text}:${port}` : text
}
