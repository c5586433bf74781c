import type { IdSource } from '../../../shared/clock.ts'
import { parseVmId, parseVmName } from '../../../shared/domain/ids.ts'
import { MINUTE_MS } from '../../../shared/domain/units.ts'
import { LifeboatError } from '../../../shared/errors.ts'
import type { CommandRunner } from '../../../shared/exec.ts'
import { parsePoint } from '../format/point.ts'
import type { BackupSession, BeginBackup, ChunkId } from '../vault.ts'
import { checkClock } from './clocks.ts'
import type { StoreContext } from './context.ts'
import { edit, healChunks } from './damage.ts'
import { createPlaces } from './places.ts'
import { endProblems, raiseProblem } from './problems.ts'
import { createSession } from './session.ts'
import { readSpace, type Space, tooFull, usedUp } from './space.ts'
import { createPrefixes } from './staging.ts'

const DEFAULT_SESSIONS = 4
/** The one problem of a full vault is about the vault itself. */
const ALL: ReadonlySet<string> = new Set([''])
const DEFAULT_RESERVE_PERCENT = 5
/** A slow disk under a full page cache. */
const SYNC_TIMEOUT_MS = 30 * MINUTE_MS

export interface IntakeOptions {
  readonly ids: IdSource
  readonly run: CommandRunner
  readonly trusted?: boolean
  readonly maxSessions?: number
  readonly reservePercent?: number
  readonly space?: (path: string) => Promise<Space>
}

/** The backups coming in: as many as may, of no blade more than its share, while there is room. */
export interface Intake {
  readonly maxSessions: number
  begin(request: BeginBackup, blade: string): Promise<BackupSession>
  /** Raises or ends the problem `vault-full`, and ends backups nobody works on any more. */
  lookAround(): Promise<Space>
  abortAll(): Promise<void>
}

export function createIntake(options: IntakeOptions, context: StoreContext): Intake {
  const maxSessions = options.maxSessions ?? DEFAULT_SESSIONS
  const room = createRoom(options, context)
  const prefixes = createPrefixes(context.layout)
  const places = createPlaces(maxSessions, context)
  const isWantedBack = (id: ChunkId): boolean =>
    context.records.problems.value().some(problem => problem.chunk === id)

  const openSession = (request: BeginBackup, blade: string): BackupSession => {
    const name = `session-${options.ids.next()}`
    const session = createSession(
      {
        ...context,
        prefixes,
        isWantedBack,
        trusted: options.trusted ?? false,
        sync: async () => {
          await options.run.run(['sync', '-f', context.layout.root], { timeoutMs: SYNC_TIMEOUT_MS })
        },
        checkRoom: room.check,
        onSettled: (ids, bytes) => noteArrived(context, ids, bytes),
        onEnd: manifest => {
          places.leave(name)
          const how = manifest === undefined ? 'ended without a restore point' : 'is listed'
          const fields = { blade, point: request.point, storedBytes: manifest?.figures.storedBytes }
          context.log.info(`backup of ${request.vm.name} ${how}`, fields)
        },
      },
      request,
      blade,
      name,
    )
    return places.take(name, blade, request.vm.name, session)
  }

  return {
    maxSessions,
    lookAround: async () => {
      places.endIdle()
      return (await room.look()).space
    },
    begin: async (request, blade) => {
      parseVmId(request.vm.id)
      parseVmName(request.vm.name)
      parsePoint(request.point)
      checkClock(context, request, blade)
      const giveBack = places.reserve(blade)
      try {
        const { why } = await room.look()
        if (why !== '') throw new LifeboatError('refused', why)
        return openSession(request, blade)
      } finally {
        giveBack()
      }
    },
    abortAll: () => places.abortAll(),
  }
}

function createRoom(options: IntakeOptions, context: StoreContext) {
  const read = () => (options.space ?? readSpace)(context.layout.root)
  return {
    /** Raises or ends the problem of a full vault; `why` no backup may begin, '' when it may. */
    look: async (): Promise<{ space: Space; why: string }> => {
      const space = await read()
      const why = tooFull(space, options.reservePercent ?? DEFAULT_RESERVE_PERCENT)
      const isKnown = context.records.problems.value().some(({ code }) => code === 'vault-full')
      if (why === '' && isKnown) edit(context, problems => endProblems(problems, 'vault-full', ALL))
      if (why !== '' && !isKnown) {
        context.log.warn('the vault is too full for new backups', { why })
        const since = context.clock.now()
        edit(context, problems =>
          raiseProblem(problems, {
            code: 'vault-full',
            about: '',
            text: why,
            chunk: '',
            points: [],
            since,
          }),
        )
      }
      return { space, why }
    },
    check: async (): Promise<void> => {
      const why = usedUp(await read())
      if (why !== '') throw new LifeboatError('refused', why)
    },
  }
}

function noteArrived(context: StoreContext, ids: readonly ChunkId[], bytes: number): void {
  const count = context.records.collect.value()
  context.records.collect.set({ ...count, chunks: count.chunks + ids.length, bytes: count.bytes + bytes })
  // A problem about a chunk ends only when the chunk is known to be good; for unproven ones the proof ends it.
  healChunks(
    context,
    ids.filter(id => !context.unproven.has(id)),
  )
}
