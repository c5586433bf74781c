import { pipeline } from 'node:stream/promises'
import type { TLSSocket } from 'node:tls'
import type { Volume } from '../../shared/domain/fleet.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { errorCode, LifeboatError } from '../../shared/errors.ts'
import type { Json, SagaDefinition, StepContext } from '../../shared/saga/definition.ts'
import { MESSAGE_LIMIT_MS, readAnswer } from '../peer/client.ts'
import { encodeFrames } from '../peer/frames.ts'
import type { VolumeExtent } from '../storage/volumes.ts'
import { check, hold, stopAutostart, targetOf } from './outgoing.ts'
import { parseSendParams, type SendParams } from './params.ts'
import type { OperationServices } from './services.ts'

type Context = StepContext<SendParams, OperationServices>

/** After the last byte the target flushes it to its disks, which may take long on a busy mirror. */
const DURABLE_LIMIT_MS = 10 * 60_000
/** A timer's own limit is 24 days; whatever takes a day has been forgotten by whoever asked for it. */
const LONGEST_COPY_MS = 24 * HOUR_MS
const LAST_WORD_MS = 1000

/** Source of a cold move: the VM is off, and stays off at both ends; its volumes and definition are copied. */
export const sendCold: SagaDefinition<SendParams, OperationServices> = {
  kind: 'send-cold',
  parseParams: parseSendParams,
  steps: [
    check('stopped'),
    stopAutostart,
    hold,
    // Copies and definition need no undo here: they lie at the target, where DiscardIncoming drops them. Repeating
    // is safe: the target makes each volume anew, and the hold keeps the VM off meanwhile.
    { name: 'copy-volumes', probe: 'repeat', do: copyVolumes },
    { name: 'send-definition', probe: 'repeat', do: sendDefinition },
    { name: 'hand-over', probe: 'repeat', do: handOver, cannotUndoBecause: 'the VM belongs to the target' },
  ],
}

async function copyVolumes(context: Context): Promise<Json> {
  const { params, services } = context
  const startedAt = services.clock.now()
  const volumes = services.moves.load(params.moveId)?.volumes ?? []
  const totalBytes = volumes.reduce((sum, volume) => sum + volume.allocatedBytes, 0)
  let doneBytes = 0
  for (const volume of volumes) {
    await copyVolume(context, volume, bytes => {
      doneBytes += bytes
      context.progress(Math.min(doneBytes, totalBytes), totalBytes)
    })
  }
  return { transferredBytes: doneBytes, durationMs: services.clock.now() - startedAt }
}

async function copyVolume(context: Context, volume: Volume, onBytes: (bytes: number) => void): Promise<void> {
  const { params, services, signal } = context
  const { moveId, vmId } = params
  const header = { channel: 'copy', moveId, vmId, path: volume.path } as const
  const socket = await services.peers.open(targetOf(params), header, signal)
  const sending = new AbortController()
  const stop = AbortSignal.any([signal, sending.signal])
  const extents = counted(services.volumes.read(volume.path, stop), onBytes)
  // The answer is awaited from the start: a target that fails in the middle says why and reads no further, and a
  // sender that only pushes would never see it.
  const limitMs = Math.min(
    LONGEST_COPY_MS,
    Math.max(DURABLE_LIMIT_MS, params.deadlineAt - services.clock.now()),
  )
  const answer = readAnswer(socket, limitMs, services.clock)
  const sent = pipeline(encodeFrames(extents), socket, { signal: stop, end: false })
  try {
    await Promise.race([answer, sent])
    await sent
    await answer
  } catch (error) {
    if (signal.aborted)
      throw new LifeboatError('aborted', `copy of ${volume.path} was stopped`, { cause: error })
    // The target's word tells more than our broken pipe; it may still be on its way.
    const word = answer.then(
      () => error,
      (reason: unknown) => reason,
    )
    const cause = (await Promise.race([word, services.clock.sleep(LAST_WORD_MS, signal)])) ?? error
    const code = errorCode(cause) === 'internal' ? 'unavailable' : errorCode(cause)
    throw new LifeboatError(code, `failed to copy ${volume.path} to ${params.toBlade}`, { cause })
  } finally {
    sending.abort()
    socket.destroy()
    await Promise.allSettled([sent, answer])
  }
}

async function sendDefinition(context: Context): Promise<undefined> {
  const { params, services, signal } = context
  const { moveId, vmId } = params
  const text = await services.hypervisor.definition(vmId)
  const autostart = services.moves.load(moveId)?.note.autostart
  const socket: TLSSocket = await services.peers.open(
    targetOf(params),
    { channel: 'definition', moveId, vmId, autostart },
    signal,
  )
  try {
    socket.end(text)
    await readAnswer(socket, MESSAGE_LIMIT_MS, services.clock)
  } finally {
    socket.destroy()
  }
  return undefined
}

/** Nobody is told to run anything: the VM was off. The row alone keeps it off here until the source is released. */
async function handOver({ params, services }: Context): Promise<undefined> {
  services.moves.advance(params.moveId, ['held', 'sending', 'released'], 'released')
  services.log.info(`vm ${params.vmName}: stopped => copied (move ${params.moveId}, to ${params.toBlade})`)
  return undefined
}

async function* counted(
  extents: AsyncIterable<VolumeExtent>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<VolumeExtent> {
  for await (const extent of extents) {
    yield extent
    onBytes(extent.data.length)
  }
}
