import { once } from 'node:events'
import { createConnection, type Socket } from 'node:net'
import { basename } from 'node:path'
import type { Clock } from '../../shared/clock.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { MigrateOptions, MigrationSockets, MigrationStatistics } from '../hypervisor/hypervisor.ts'
import { formatDefinition } from './definition-text.ts'
import type { SimDisks } from './disks.ts'
import { readExtents } from './extents.ts'
import { encodeCounter } from './guest.ts'
import type { SimKnobs } from './knobs.ts'
import { ByteReader, sendFrame, sendLine, type TargetMessage, writeBytes } from './migration-wire.ts'
import type { SimVm, VmTable } from './vm-table.ts'

/** Stands for the RAM: enough to see that bytes of it really pass. */
const MEMORY_IMAGE_BYTES = 256 * 1024

export interface SourceOptions {
  readonly table: VmTable
  readonly disks: SimDisks
  readonly clock: Clock
  readonly knobs: SimKnobs
}

interface Channels {
  readonly control: Socket
  readonly reader: ByteReader
  readonly disk: Socket
  readonly memory: Socket
}

async function connect(path: string, open: Socket[]): Promise<Socket> {
  const socket = createConnection(path)
  open.push(socket)
  socket.on('error', () => {})
  try {
    await once(socket, 'connect')
  } catch (error) {
    throw new LifeboatError('command-failed', `failed to connect to ${basename(path)}`, { cause: error })
  }
  return socket
}

async function expectAnswer(reader: ByteReader, kind: TargetMessage['kind']): Promise<void> {
  const answer = await reader.line<TargetMessage>()
  if (answer.kind === 'refused') throw new LifeboatError('command-failed', answer.text)
  if (answer.kind !== kind) {
    throw new LifeboatError('bad-tool-output', `the target said '${answer.kind}' instead of '${kind}'`)
  }
}

/** Control first: the target opens memory and disk sockets only once it has accepted the VM. */
async function openChannels(vm: SimVm, sockets: MigrationSockets, open: Socket[]): Promise<Channels> {
  const control = await connect(sockets.control, open)
  const reader = new ByteReader(control)
  await sendLine(control, {
    kind: 'begin',
    definition: formatDefinition(vm.definition),
    memory: basename(sockets.memory),
    disk: basename(sockets.disk),
  })
  await expectAnswer(reader, 'ready')
  return {
    control,
    reader,
    disk: await connect(sockets.disk, open),
    memory: await connect(sockets.memory, open),
  }
}

/**
 * Work that ends when a channel closes, also while it only waits. Not for the switch-over: there the target closes disk
 * and memory when it has them, perhaps before its last answer is read.
 */
async function whileOpen<Result>(
  channels: Channels,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const broken = new AbortController()
  const onClose = () => broken.abort(new LifeboatError('unavailable', 'the migration streams broke'))
  const sockets = [channels.control, channels.disk, channels.memory]
  for (const socket of sockets) socket.once('close', onClose)
  try {
    const result = await work(AbortSignal.any([signal, broken.signal]))
    signal.throwIfAborted()
    broken.signal.throwIfAborted()
    return result
  } finally {
    for (const socket of sockets) socket.off('close', onClose)
  }
}

/** Copies every volume while the guest runs. Returns the bytes sent. */
async function copyDisks(
  vm: SimVm,
  disk: Socket,
  options: SourceOptions,
  migrate: MigrateOptions,
): Promise<number> {
  const { disks, clock, knobs } = options
  const totalBytes = vm.definition.volumes.reduce(
    (bytes, volume) => bytes + (disks.image(volume.path)?.usedBytes ?? 0),
    MEMORY_IMAGE_BYTES,
  )
  let sentBytes = 0
  for (const [number, volume] of vm.definition.volumes.entries()) {
    for await (const { offsetBytes, data } of readExtents(disks.hostPath(volume.path), migrate.signal)) {
      await sendFrame(disk, { volume: number, offsetBytes, data })
      sentBytes += data.length
      migrate.onProgress(Math.min(sentBytes, totalBytes), totalBytes)
      if (knobs.bytesPerSecond > 0) {
        await clock.sleep((data.length * 1000) / knobs.bytesPerSecond, migrate.signal)
      }
    }
  }
  return sentBytes
}

/**
 * The last, short part: the guest stands still here until the target has everything or all is off. Resolves with the
 * VM off here; on any failure it runs on here, also when only the target's last answer was lost.
 */
async function switchOver(
  vm: SimVm,
  channels: Channels,
  sentBytes: number,
  options: SourceOptions,
): Promise<number> {
  const { table, knobs, clock } = options
  const id = vm.definition.id
  const wasRunning = table.get(id).state === 'running'
  const frozenAt = clock.now()
  table.halt(id, 'paused')
  const count = table.get(id).count
  try {
    let diskBytes = sentBytes
    if (vm.definition.volumes.length > 0) {
      // Only the guest's own sector can have changed since it was copied.
      const data = encodeCounter(count)
      await sendFrame(channels.disk, { volume: 0, offsetBytes: 0, data })
      diskBytes += data.length
    }
    await sendFrame(channels.disk, undefined)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(MEMORY_IMAGE_BYTES)
    await writeBytes(channels.memory, length)
    await writeBytes(channels.memory, Buffer.alloc(MEMORY_IMAGE_BYTES, id))
    await sendLine(channels.control, { kind: 'finish', count, diskBytes, memoryBytes: MEMORY_IMAGE_BYTES })
    await expectAnswer(channels.reader, 'finished')
    if (knobs.takeLostFinish()) throw new LifeboatError('unavailable', 'the answer of the target was lost')
    table.halt(id, 'stopped')
    return clock.now() - frozenAt
  } catch (error) {
    if (wasRunning) table.thaw(id)
    throw error
  }
}

/** The sending half: see `Hypervisor.migrate`. `signal` already joins the caller's abort, cancel and the time limit. */
export async function migrateAway(
  vm: SimVm,
  sockets: MigrationSockets,
  options: SourceOptions,
  migrate: MigrateOptions,
): Promise<MigrationStatistics> {
  const startedAt = options.clock.now()
  const open: Socket[] = []
  const destroyAll = () => {
    for (const socket of open) socket.destroy()
  }
  migrate.signal.addEventListener('abort', destroyAll, { once: true })
  try {
    migrate.signal.throwIfAborted()
    const channels = await openChannels(vm, sockets, open)
    const sentBytes = await whileOpen(channels, migrate.signal, async signal => {
      const bytes = await copyDisks(vm, channels.disk, options, { ...migrate, signal })
      await options.knobs.gate(vm.definition.name, signal)
      return bytes
    })
    const downtimeMs = await switchOver(vm, channels, sentBytes, options)
    return {
      downtimeMs,
      transferredBytes: sentBytes + MEMORY_IMAGE_BYTES,
      durationMs: options.clock.now() - startedAt,
    }
  } finally {
    migrate.signal.removeEventListener('abort', destroyAll)
    destroyAll()
  }
}
