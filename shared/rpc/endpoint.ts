/** Both ends of a gRPC connection of Lifeboat: who may speak (credentials, peer), the server and the client side. */

export { type RequestOf, type RequestOptions, type ResponseOf, type UnaryNames, unary } from './client.ts'
export {
  channelOptions,
  createAnonymousChannelCredentials,
  createChannelCredentials,
  createLocalCredentials,
  createServerCredentials,
  type LifeboatServerCredentials,
  type Peer,
  peerOf,
} from './credentials.ts'
export { type ServeAddress, serve, stopServer } from './listen.ts'
export {
  type CallContext,
  createServer,
  type Implementation,
  type RpcService,
  rpcService,
  type ServerOptions,
} from './server.ts'
