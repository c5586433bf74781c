import { chmod, mkdir, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { LifeboatError } from '../../shared/errors.ts'
import type { MigrationChannel } from '../hypervisor/hypervisor.ts'

export const MIGRATION_CHANNELS: readonly MigrationChannel[] = ['control', 'memory', 'disk']

// connect(2) on a UNIX socket needs write permission on it; QEMU is neither root nor in our group. What a stranger
// on this blade could do with it: send bytes to the hypervisor of the target, which expects a migration of one VM
// under this very name; libvirt checks the rest.
const SOCKET_MODE = 0o666

/** A directory that sockets of migrations live in; which ones and how open is the hypervisor's to say. */
export interface SocketDirectory {
  readonly path: string
  readonly mode: number
}

/** Before each migration: /run is empty after a boot, and a restart of libvirt may clear its part of it. */
export async function makeSocketDirectories(directories: readonly SocketDirectory[]): Promise<void> {
  for (const { path, mode } of directories) {
    await mkdir(path, { recursive: true })
    // mkdir's mode is cut by the umask, and says nothing about a directory that was there.
    await chmod(path, mode)
  }
}

/** Removes what a killed process left; a live listener elsewhere never has one of these names. */
export async function unlinkSockets(paths: readonly string[]): Promise<void> {
  for (const path of paths) await rm(path, { force: true })
}

/** Listens on a UNIX socket that QEMU may connect to. Throws `unavailable`. */
export async function listenAt(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  await unlinkSockets([path])
  // allowHalfOpen: NBD and libvirt each close one direction first; the pipe must carry that, not end both.
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, onConnection)
  await new Promise<void>((resolve, reject) => {
    server.once('error', error =>
      reject(new LifeboatError('unavailable', `cannot listen at ${path}`, { cause: error })),
    )
    server.listen(path, resolve)
  })
  await chmod(path, SOCKET_MODE)
  return server
}
