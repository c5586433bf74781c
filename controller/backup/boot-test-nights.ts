import type { Clock } from '../../shared/clock.ts'
import { nextAfter, parseCron } from '../../shared/cron.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { formatErrorChain } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { Operations } from '../operations/operations.ts'
import type { Store } from '../store/store.ts'
import { type BootTry, chooseBootTest } from './choose-boot-test.ts'
import { isBySeenWriter } from './find-point.ts'
import type { Restores } from './restores.ts'
import type { BackupConfig } from './settings.ts'

/** What a night has not done by then waits for the next: in the morning the room belongs to people. */
const NIGHT_MS = 4 * HOUR_MS

/** Each night some restore points are restored, booted and removed again. Driven by the reconciler, one at a time. */
export interface BootTestNights {
  /** `heldBack`: why nothing may be begun at this moment; empty: it may. Asked again when the vault has answered. */
  pass(now: number, heldBack: () => string): void
  /** An evacuation has begun: it needs the room. */
  standAside(): void
  /** Resolves when nothing is about to begin; for the end of the process. */
  idle(): Promise<void>
}

export interface BootTestNightsOptions {
  readonly store: Store
  readonly restores: Pick<Restores, 'bootTest'>
  readonly operations: Pick<Operations, 'abort'>
  readonly config: BackupConfig['bootTest']
  readonly clock: Clock
  readonly log: Logger
}

/** What is left of a night is stored: a restart goes on with it. */
export function createBootTestNights(options: BootTestNightsOptions): BootTestNights {
  const { store, restores, operations, config, clock, log } = options
  const cron = parseCron(config.schedule)
  const told = new Set<string>()
  /** Those that could not begin: they keep no other from its turn, this night or any. */
  let refused: BootTry[] = []
  let beginning: Promise<void> | undefined

  const active = () => store.operations.active().filter(operation => operation.kind === 'boot-test')

  const beginNight = (now: number) => {
    const { at } = store.settings.bootTests()
    // A new installation begins with its next night; one whose clock was set back does not wait for it to catch up.
    if (at === 0 || at > now) store.settings.setBootTests({ at: now, left: 0 })
    else {
      const nightAt = nextAfter(cron, at)
      if (nightAt === 0 || nightAt > now) return
      refused = []
      store.settings.setBootTests({ at: now, left: now - nightAt > NIGHT_MS ? 0 : config.perNight })
    }
  }

  const next = () => {
    const { at } = store.settings.bootTests()
    const tests = store.backups.bootTests()
    // Also those that could not be carried out.
    const operated = store.operations
      .list({ all: true, limit: 1000 })
      .filter(operation => operation.kind === 'boot-test')
      .map(({ vmId, point, startedAt }) => ({ vmId, point, at: startedAt }))
    // Only those a recovery would take.
    const points = store.points.list().filter(point => isBySeenWriter(point, store.vms.bladesOf))
    return chooseBootTest(points, [...tests, ...operated, ...refused], at)
  }

  const begin = async (heldBack: () => string) => {
    const chosen = next()
    const night = store.settings.bootTests()
    if (chosen === undefined) {
      store.settings.setBootTests({ ...night, left: 0 })
      return
    }
    const { vmId, point } = chosen
    refused = [...refused, { vmId, point, at: clock.now() }]
    try {
      await restores.bootTest({
        vm: vmId,
        point,
        to: '',
        requestedBy: 'automation',
        cause: 'the boot test of this night',
        heldBack,
      })
      store.settings.setBootTests({ ...night, left: night.left - 1 })
    } catch (error) {
      // Its turn is not over: it begins when nothing holds it back any more.
      if (heldBack() !== '') {
        refused = refused.slice(0, -1)
        return
      }
      const line = `boot test of ${chosen.vm} ${point} cannot begin: ${formatErrorChain(error)}`
      log.warn(line)
      store.stories.tell('vm', vmId, clock.now(), line)
    }
  }

  return {
    pass: (now, heldBack) => {
      if (config.perNight === 0) return
      beginNight(now)
      const { at, left } = store.settings.bootTests()
      if (left === 0 || beginning !== undefined || active().length > 0) return
      if (now - at > NIGHT_MS) {
        log.warn(`${left} boot tests of this night were not made: ${heldBack() || 'there was no time'}`)
        store.settings.setBootTests({ at, left: 0 })
        return
      }
      if (heldBack() !== '') return
      beginning = begin(heldBack).finally(() => {
        beginning = undefined
      })
    },
    idle: async () => await beginning,
    standAside: () => {
      for (const { id } of active()) {
        if (told.has(id)) continue
        told.add(id)
        operations.abort(id, 'an evacuation, which needs the room')
      }
    },
  }
}
