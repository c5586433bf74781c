import { createHash, randomUUID } from 'node:crypto'
import type { SecureContextOptions } from 'node:tls'
import {
  ChannelCredentials,
  type ChannelOptions,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
  type ServerUnaryCall,
} from '@grpc/grpc-js'
import { type Identity, type Role, readSubject } from './certificates.ts'

/** `local`: came in by the UNIX socket. `none`: by TCP without a certificate that our authority signed. */
export interface Peer {
  readonly role: Role | 'local' | 'none'
  /** The certificate's CN; empty for `none`. */
  readonly name: string
  /** IP:port, or `local`. */
  readonly address: string
  /** SHA-256 of its certificate in DER form, lower-case hex; empty without one. A role alone does not tell an old one. */
  readonly fingerprint: string
}

/** What a call tells of its other end: any server-side call of grpc-js. */
export type AnyCall = Pick<ServerUnaryCall<unknown, unknown>, 'getPeer' | 'getAuthContext' | 'metadata'>

const KEEPALIVE_TIME_MS = 10_000
const KEEPALIVE_TIMEOUT_MS = 5000
/** A report of a full blade is some ten KB; this is room for a hundred VMs and no more. */
export const MAX_MESSAGE_BYTES = 8 * 1024 * 1024

const LOCAL_KEY = 'lifeboat-local'
/**
 * Calls by the UNIX socket are marked with it. The obvious sign, a call without a remote address, will not do: grpc-js
 * reports none for a TCP connection that has just been closed either, and that one would be taken for the local root.
 */
const LOCAL_MARK = randomUUID()

/** Certificates that can be replaced while the server runs; connections that stand keep theirs. */
export interface LifeboatServerCredentials extends ServerCredentials {
  replace(identity: Identity): void
}

/**
 * TLS that asks for a client certificate and lets calls without a valid one in as role `none`, so that the refusal
 * happens where it can be logged with the peer's address, and Enrolment can be reached before there is a certificate.
 */
export function createServerCredentials(identity: Identity): LifeboatServerCredentials {
  return new MutualTlsCredentials(identity)
}

class MutualTlsCredentials extends ServerCredentials implements LifeboatServerCredentials {
  constructor(identity: Identity) {
    super({ requestCert: true, rejectUnauthorized: false, minVersion: 'TLSv1.3' }, contextOf(identity))
  }

  replace(identity: Identity): void {
    this.updateSecureContextOptions(contextOf(identity))
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

function contextOf(identity: Identity): SecureContextOptions {
  return { ca: identity.authorityPem, cert: identity.certificatePem, key: identity.privateKeyPem }
}

/** For the UNIX socket, whose file permissions say who may connect. */
export function createLocalCredentials(): ServerCredentials {
  return new LocalCredentials()
}

class LocalCredentials extends ServerCredentials {
  constructor() {
    super(null)
  }

  override _getInterceptors(): ServerInterceptor[] {
    return [markLocal]
  }

  override _equals(other: ServerCredentials): boolean {
    return other instanceof LocalCredentials
  }
}

const markLocal: ServerInterceptor = (_method, call) => {
  const listener = new ServerListenerBuilder()
    .withOnReceiveMetadata((metadata, next) => {
      metadata.set(LOCAL_KEY, LOCAL_MARK)
      next(metadata)
    })
    .build()
  return new ServerInterceptingCall(call, { start: next => next(listener) })
}

/** Who is at the other end of a call. */
export function peerOf(call: AnyCall): Peer {
  if (call.metadata.get(LOCAL_KEY)[0] === LOCAL_MARK) {
    return { role: 'local', name: 'local', address: 'local', fingerprint: '' }
  }
  const address = call.getPeer()
  // grpc-js hands the certificate out only when TLS found it valid under our authority.
  const certificate = call.getAuthContext().sslPeerCertificate
  const subject = certificate === undefined ? undefined : readSubject(certificate)
  if (certificate === undefined || subject === undefined) {
    return { role: 'none', name: '', address, fingerprint: '' }
  }
  const fingerprint = createHash('sha256').update(certificate.raw).digest('hex')
  return { ...subject, address, fingerprint }
}

/** Client side with a certificate: trusts only our authority. */
export function createChannelCredentials(identity: Identity): ChannelCredentials {
  return ChannelCredentials.createSsl(
    Buffer.from(identity.authorityPem),
    Buffer.from(identity.privateKeyPem),
    Buffer.from(identity.certificatePem),
  )
}

/**
 * Client side before there is a certificate. With `authorityPem` only servers of that authority are trusted; without,
 * any is: only to fetch the authority, whose fingerprint the join token tells, and never to send a secret.
 */
export function createAnonymousChannelCredentials(authorityPem?: string): ChannelCredentials {
  if (authorityPem !== undefined) return ChannelCredentials.createSsl(Buffer.from(authorityPem))
  return ChannelCredentials.createSsl(null, null, null, {
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  })
}

/**
 * The certificate's name is the peer's (`controller`, or the blade's), whatever address was dialled. Keepalive finds
 * a connection that died without a word (pulled cable) within 15 s: that is the silence a report interval allows.
 */
export function channelOptions(targetName: string): ChannelOptions {
  return {
    'grpc.ssl_target_name_override': targetName,
    'grpc.default_authority': targetName,
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.min_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 5000,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.enable_retries': 0,
    'grpc.enable_http_proxy': 0,
  }
}
