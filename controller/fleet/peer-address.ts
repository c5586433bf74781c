import { PEER_PORT } from '../../shared/rpc/address.ts'

/** An agent that listens on every address does not know which one others see; the one it calls from is good. */
export function reachable(peerAddress: string, seenFrom: string): string {
  const port = /:(\d+)$/.exec(peerAddress)?.[1] ?? String(PEER_PORT)
  const host = peerAddress.replace(/:\d+$/, '')
  if (host !== '' && host !== '0.0.0.0' && host !== '[::]' && host !== '::') return peerAddress
  return `${hostOf(seenFrom)}:${port}`
}

/** `10.0.0.3:41234` → `10.0.0.3`; `[fe80::1]:41234` keeps its brackets; an IPv4 address in IPv6 clothes sheds them. */
function hostOf(address: string): string {
  const bracketed = /^\[(.+)\](?::\d+)?$/.exec(address)?.[1]
  const bare = bracketed ?? (address.split(':').length === 2 ? address.replace(/:\d+$/, '') : address)
  const plain = bare.replace(/^::ffff:/, '')
  return plain.includes(':') ? `[${plain}]` : plain
}
