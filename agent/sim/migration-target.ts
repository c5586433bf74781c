import { once } from 'node:events'
import { open, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { basename, join } from 'node:path'
import { formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import { parseDefinition, type SimDefinition } from './definition-text.ts'
import type { SimDisks } from './disks.ts'
import { ByteReader, type SourceMessage, sendLine } from './migration-wire.ts'
import type { VmTable } from './vm-table.ts'

/** The receiving half of a hypervisor: the control socket that always listens, and what a migration opens. */
export interface MigrationTarget {
  /** Breaks the reception of this VM if one is under way; its remains are gone when this resolves. */
  drop(id: string): Promise<void>
  close(): Promise<void>
}

interface TargetOptions {
  readonly table: VmTable
  readonly disks: SimDisks
  /** Directory of this blade's sockets. */
  readonly directory: string
  readonly controlSocket: string
}

/** Listens on a UNIX socket; remains of an earlier run are removed, as QEMU does. */
async function listenOn(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  await rm(path, { force: true })
  const server = createServer(socket => {
    // Whoever reads the socket sees its error; without a listener it would end the process.
    socket.on('error', () => {})
    onConnection(socket)
  })
  server.listen(path)
  await once(server, 'listening')
  return server
}

function refuseUnready(table: VmTable, disks: SimDisks, definition: SimDefinition): void {
  const known = table.find(definition.id)
  if (known !== undefined && known.state !== 'stopped') {
    throw new LifeboatError('refused', `domain '${definition.name}' is already active`)
  }
  for (const volume of definition.volumes) {
    if (disks.image(volume.path) === undefined) {
      throw new LifeboatError('refused', `cannot precreate storage for ${volume.path}`)
    }
  }
}

/** A listener that hands out its first connection, or the error that ended the wait. */
async function expectOne(path: string): Promise<{ socket: Promise<Socket>; close: () => void }> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>()
  promise.catch(() => {})
  const server = await listenOn(path, resolve)
  return {
    socket: promise,
    close: () => {
      server.close()
      reject(new LifeboatError('aborted', 'the migration ended before its streams were opened'))
      promise.then(
        socket => socket.destroy(),
        () => {},
      )
    },
  }
}

/** Writes all frames of the disk channel to the volumes, durably. Returns the bytes received. */
async function receiveDisks(socket: Socket, disks: SimDisks, definition: SimDefinition): Promise<number> {
  const handles = await Promise.all(definition.volumes.map(volume => open(disks.hostPath(volume.path), 'r+')))
  try {
    const reader = new ByteReader(socket)
    let diskBytes = 0
    for (let frame = await reader.frame(); frame !== undefined; frame = await reader.frame()) {
      const handle = handles[frame.volume]
      if (handle === undefined) throw new LifeboatError('bad-input', `no disk number ${frame.volume}`)
      await handle.write(frame.data, 0, frame.data.length, frame.offsetBytes)
      diskBytes += frame.data.length
    }
    await Promise.all(handles.map(handle => handle.sync()))
    return diskBytes
  } finally {
    await Promise.all(handles.map(handle => handle.close()))
  }
}

/** Length in a 32-bit word, then the bytes. */
async function receiveMemory(socket: Socket): Promise<number> {
  const reader = new ByteReader(socket)
  const length = (await reader.bytes(4)).readUInt32LE(0)
  await reader.bytes(length)
  return length
}

/** One incoming migration on one control connection. The VM stays paused, whatever comes (rule 1). */
async function receive(
  control: Socket,
  options: TargetOptions,
  onBegin: (id: string) => void,
): Promise<void> {
  const { table, disks, directory } = options
  const reader = new ByteReader(control)
  const begin = await reader.line<SourceMessage>()
  if (begin.kind !== 'begin') throw new LifeboatError('bad-input', `'${begin.kind}' before 'begin'`)
  const definition = parseDefinition(begin.definition)
  refuseUnready(table, disks, definition)
  const earlier = table.find(definition.id)
  onBegin(definition.id)

  const disk = await expectOne(join(directory, basename(begin.disk)))
  const memory = await expectOne(join(directory, basename(begin.memory)))
  table.put({
    definition,
    state: 'paused',
    persistent: false,
    autostart: false,
    incoming: true,
    count: 0,
    runningSince: 0,
  })
  let finished = false
  try {
    await sendLine(control, { kind: 'ready' })
    const received = Promise.all([
      disk.socket.then(socket => receiveDisks(socket, disks, definition)),
      memory.socket.then(receiveMemory),
    ])
    received.catch(() => control.destroy())
    const finish = await reader.line<SourceMessage>()
    const [diskBytes, memoryBytes] = await received
    if (finish.kind !== 'finish' || finish.diskBytes !== diskBytes || finish.memoryBytes !== memoryBytes) {
      throw new LifeboatError('bad-tool-output', 'the migration is incomplete')
    }
    table.put({ ...table.get(definition.id), persistent: true, count: finish.count })
    finished = true
    await sendLine(control, { kind: 'finished' })
  } finally {
    disk.close()
    memory.close()
    // A definition that was here before the migration began is not ours to take away.
    if (!finished && earlier !== undefined) table.put(earlier)
    else if (!finished) table.remove(definition.id)
  }
}

/** Starts listening. Every control connection is one migration. */
export async function createMigrationTarget(options: TargetOptions): Promise<MigrationTarget> {
  const open = new Map<string, { control: Socket; ended: Promise<void> }>()
  const controls = new Set<Socket>()
  const server = await listenOn(options.controlSocket, control => {
    controls.add(control)
    let id = ''
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const done = receive(control, options, vmId => {
      id = vmId
      open.set(vmId, { control, ended })
    })
    void done
      .catch(async error => {
        // Closed softly: the source is to read why.
        if (!control.destroyed) await sendLine(control, { kind: 'refused', text: formatErrorChain(error) })
      })
      .catch(() => {})
      .finally(() => {
        control.end()
        controls.delete(control)
        if (open.get(id)?.control === control) open.delete(id)
        resolve()
      })
  })
  return {
    async drop(id) {
      const reception = open.get(id)
      reception?.control.destroy()
      await reception?.ended
    },
    async close() {
      server.close()
      for (const control of controls) control.destroy()
      await Promise.all([...open.values()].map(reception => reception.ended))
    },
  }
}
