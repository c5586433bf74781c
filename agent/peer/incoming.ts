import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { CommandRunner } from '../../shared/exec.ts'
import type { Logger } from '../../shared/log.ts'
import type { Hypervisor, MigrationChannel } from '../hypervisor/hypervisor.ts'
import type { Volumes } from '../storage/volumes.ts'
import type { MoveRow, MoveStore } from '../store/move-store.ts'
import { decodeFrames } from './frames.ts'
import type { PeerAnswer, PeerHeader } from './header.ts'
import { createLanes } from './lanes.ts'
import type { PeerHandlers } from './server.ts'
import { MIGRATION_CHANNELS, unlinkSockets } from './sockets.ts'
import { joinStreams } from './streams.ts'

const MAX_DEFINITION_BYTES = 1024 * 1024

export interface IncomingOptions {
  readonly hypervisor: Hypervisor
  readonly volumes: Volumes
  readonly moves: MoveStore
  /** Commands run for a move by its source's word; they are shown with the order that ends the move here. */
  readonly runFor: (moveId: string) => CommandRunner
  readonly bootId: string
  readonly clock: Clock
  readonly log: Logger
  readonly onChange: () => void
}

export interface Incoming {
  readonly handlers: PeerHandlers
  /** Resolves when nothing works on the move's volumes or VM any more; its connections must have been closed. */
  settled(move: MoveRow): Promise<void>
}

/**
 * The target's side of a move, driven by the source's agent.
 *
 * INVARIANT (rule 1): the VM is made to run here only by `released`, which the door lets in only from the move's
 * source, whose agent says it only when its own hypervisor reports the VM off; or by the order ConfirmIncoming.
 */
export function createIncoming(options: IncomingOptions): Incoming {
  const { moves, clock, log } = options
  const lanes = createLanes()
  /** Writers under way, by path: a repeated copy first ends the one before, or both would write. */
  const writers = new Map<string, { socket: TLSSocket; ended: Promise<unknown> }>()

  async function begin(header: PeerHeader, move: MoveRow): Promise<Omit<PeerAnswer, 'ok'>> {
    // Between the door's check and this turn the move may have been released or discarded.
    requireState(moves, move.moveId, 'prepared')
    const run = options.runFor(move.moveId)
    await options.hypervisor.destroyIncoming(move.vmId, run)
    const sockets = options.hypervisor.incomingSockets(move.vmName, move.moveId)
    // Only what belongs to this migration: `control` may be the hypervisor's own, always listening socket.
    await unlinkSockets([sockets.memory, sockets.disk])
    if (header.autostart !== undefined) moves.note(move.moveId, { autostart: header.autostart })
    return {}
  }

  async function released(header: PeerHeader, move: MoveRow): Promise<Omit<PeerAnswer, 'ok'>> {
    const startedAt = clock.now()
    // Journaled first: if we die between the two, the restart finds a VM that may run, and runs it.
    if (!moves.advance(move.moveId, ['prepared', 'released'], 'released')) {
      const state = moves.load(move.moveId)?.state
      if (state === 'confirmed') return {}
      throw new LifeboatError('refused', `move ${move.moveId} is ${state ?? 'unknown'} here`)
    }
    await options.hypervisor.resume(move.vmId, options.runFor(move.moveId))
    const handoverMs = (header.sinceMs ?? 0) + clock.now() - startedAt
    if (moves.load(move.moveId)?.note.ranInBoot === undefined) {
      moves.note(move.moveId, { ranInBoot: options.bootId, handoverMs })
      log.info(`vm ${move.vmName}: arriving => running (move ${move.moveId}, from ${move.peerBlade})`, {
        handoverMs,
      })
    }
    options.onChange()
    return { handoverMs }
  }

  async function copy(header: PeerHeader, move: MoveRow, socket: TLSSocket, accept: () => void) {
    const volume = move.volumes.find(candidate => candidate.path === header.path)
    if (volume === undefined) {
      throw new LifeboatError('not-allowed', `${header.path ?? 'nothing'} is no volume of ${move.vmName}`)
    }
    const before = writers.get(volume.path)
    before?.socket.destroy()
    await before?.ended
    const run = options.runFor(move.moveId)
    // Extents leave out what is zero at the source, so the volume must be all zero; one that an earlier attempt
    // wrote to is not. Making it anew is cheap beside copying it.
    await options.volumes.discard(volume.path, move.moveId, run)
    await options.volumes.create(volume, move.moveId, run)
    accept()
    let bytes = 0
    const count = async function* () {
      for await (const extent of decodeFrames(
        socket.iterator({ destroyOnReturn: false }),
        volume.sizeBytes,
      )) {
        bytes += extent.data.length
        yield extent
      }
    }
    const ended = options.volumes.write(volume.path, count())
    const writer = { socket, ended: ended.catch(() => {}) }
    writers.set(volume.path, writer)
    try {
      await ended
    } finally {
      if (writers.get(volume.path) === writer) writers.delete(volume.path)
    }
    return { bytes }
  }

  async function definition(header: PeerHeader, move: MoveRow, socket: TLSSocket, accept: () => void) {
    accept()
    const text = await readAll(socket, MAX_DEFINITION_BYTES)
    await lanes.run(move.vmId, async () => {
      requireState(moves, move.moveId, 'prepared')
      await options.hypervisor.define(text, options.runFor(move.moveId))
    })
    if (header.autostart !== undefined) moves.note(move.moveId, { autostart: header.autostart })
    options.onChange()
    return {}
  }

  const handlers: PeerHandlers = {
    message: (header, move) =>
      // One at a time per VM: a `begin` of a source agent that was killed may still be at work here when its
      // successor sends the next.
      lanes.run(move.vmId, async () => {
        if (header.channel === 'begin') return begin(header, move)
        if (header.channel === 'released') return released(header, move)
        return {
          state: await options.hypervisor.state(move.vmId),
          move: moves.load(move.moveId)?.state ?? '',
        }
      }),
    bytes: async (header, move, socket, accept) => {
      if (header.channel === 'copy') return copy(header, move, socket, accept)
      if (header.channel === 'definition') return definition(header, move, socket, accept)
      const sockets = options.hypervisor.incomingSockets(move.vmName, move.moveId)
      const channel = MIGRATION_CHANNELS.find(name => name === header.channel) as MigrationChannel
      const local = await connectLocal(sockets[channel])
      accept()
      await joinStreams(socket, local)
      return undefined
    },
  }
  return {
    handlers,
    settled: async move => {
      await Promise.all(move.volumes.map(volume => writers.get(volume.path)?.ended))
      // A definition that came just before the door was shut would otherwise appear after the VM was dropped.
      await lanes.run(move.vmId, async () => {})
    },
  }
}

function requireState(moves: MoveStore, moveId: string, state: MoveRow['state']): void {
  const now = moves.load(moveId)?.state
  if (now !== state) throw new LifeboatError('refused', `move ${moveId} is ${now ?? 'unknown'} here`)
}

function connectLocal(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.once('connect', () => {
      socket.off('error', onError)
      socket.on('error', () => {})
      resolve(socket)
    })
    const onError = (error: Error): void =>
      reject(new LifeboatError('unavailable', `the hypervisor does not listen at ${path}`, { cause: error }))
    socket.once('error', onError)
  })
}

async function readAll(socket: TLSSocket, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let lengthBytes = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    lengthBytes += chunk.length
    if (lengthBytes > maxBytes) throw new LifeboatError('bad-input', `a definition of over ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
