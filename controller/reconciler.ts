import type { Clock } from '../shared/clock.ts'
import { HOUR_MS, SECOND_MS } from '../shared/domain/units.ts'
import { formatErrorChain } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Outbox } from './alerts/outbox.ts'
import { applyAlerts } from './alerts/raise.ts'
import type { BootTestNights } from './backup/boot-test-nights.ts'
import type { SettingsPush } from './backup/settings-push.ts'
import type { ControllerConfig } from './config.ts'
import { automationOf } from './evacuation/automation.ts'
import type { Evacuations } from './evacuation/evacuations.ts'
import { decideEvacuations, type HeldBack } from './evacuation/policy.ts'
import type { FleetState } from './fleet/fleet-state.ts'
import { createFleetDiagnosis } from './fleet-diagnosis.ts'
import type { Operations } from './operations/operations.ts'
import type { NPlusOne } from './placement/plan.ts'
import type { AlertRecord } from './store/alerts.ts'
import { wordsOf } from './store/evacuations.ts'
import type { Store } from './store/store.ts'

/** What the last pass found, for `lifeboat status`. */
export interface ReconcilerView {
  readonly heldBack: readonly HeldBack[]
  readonly nPlusOne: NPlusOne
}

/**
 * The one loop that turns what is known into what is done. Serialised: two passes never overlap, so no decision is
 * taken twice on the same facts. A pass has no input and may run at any time.
 */
export interface Reconciler {
  /** Something changed: do not wait for the tick. */
  nudge(): void
  /** One pass now; for start-up and tests. */
  pass(): void
  view(): ReconcilerView
  close(): Promise<void>
}

export interface ReconcilerOptions {
  readonly store: Store
  readonly fleet: FleetState
  readonly operations: Pick<Operations, 'prune'>
  readonly evacuations: Evacuations
  readonly settingsPush: Pick<SettingsPush, 'pass'>
  readonly bootTests: BootTestNights
  readonly outbox: Outbox
  readonly config: ControllerConfig
  readonly clock: Clock
  readonly log: Logger
  readonly payloadOf: (alert: AlertRecord) => string
}

const TICK_MS = 1 * SECOND_MS
/** Nudges come in bursts (ten reports, progress): one pass answers them together. */
const COALESCE_MS = 50
/** Stories, events, delivered messages and ended operations are kept a quarter of a year. */
const KEEP_MS = 90 * 24 * HOUR_MS

/** The first pass is made before it returns. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  const { store, fleet, evacuations, outbox, config, clock, log } = options
  const diagnosis = createFleetDiagnosis(options)
  const stop = new AbortController()
  let wake = Promise.withResolvers<void>()
  let heldBack: readonly HeldBack[] = []
  let nextPruneAt = 0

  const decide = (now: number) => {
    const handled = new Set(store.evacuations.handledCases().map(each => each.caseId))
    const decision = decideEvacuations({
      snapshot: fleet.snapshot(now),
      cases: store.cases.open(),
      automation: automationOf(store, config),
      now,
      settings: config.evacuation,
      active: new Set(store.evacuations.active().map(each => each.blade)),
      handled,
    })
    for (const order of decision.evacuate) {
      // One blade that cannot be planned for must not hold up the others, nor what is under way.
      part(`evacuation of ${order.blade}`, () => evacuations.begin({ ...order, requestedBy: 'automation' }))
    }
    const held = [...decision.heldBack, ...evacuations.advance()]
    announceNew(held)
    heldBack = held
  }

  const announceNew = (held: readonly HeldBack[]) => {
    // The time left to the hold counts down in the text; that is no news.
    const key = (text: string) => text.replace(/\d+(\.\d+)? (ms|s|min|h|d)\b/g, '')
    const known = new Set(heldBack.map(each => key(each.text)))
    for (const each of held) if (!known.has(key(each.text))) log.info(`held back: ${each.text}`)
  }

  /** Rule 10 holds for boot tests too, and an evacuation goes before them. */
  const bootTests = (now: number) => {
    if (store.evacuations.active().length > 0) options.bootTests.standAside()
    options.bootTests.pass(now, () => {
      const evacuating = store.evacuations.active()
      if (evacuating.length > 0) return evacuating.map(wordsOf).join(', ')
      return automationOf(store, config).paused ? 'automation is paused' : ''
    })
  }

  const prune = (now: number) => {
    if (now < nextPruneAt) return
    nextPruneAt = now + 24 * HOUR_MS
    const before = now - KEEP_MS
    const lines =
      store.stories.prune(before) +
      store.outbox.prune(before) +
      store.backups.prune(before) +
      options.operations.prune(before)
    if (lines > 0) log.info(`${lines} old rows dropped from the database`)
  }

  /** Each part stands for itself: a defect in one must not keep the others (above all the alerts) from running. */
  const part = (name: string, act: () => void) => {
    try {
      act()
    } catch (error) {
      log.error(`reconciler: ${name} failed`, { error: formatErrorChain(error) })
    }
  }
  const pass = () => {
    const now = clock.now()
    part('diagnosis', () => diagnosis.update(now))
    part('alerts', () =>
      applyAlerts(
        store,
        outbox.notifiers,
        store.cases.open(),
        fleet.snapshot(now),
        now,
        options.payloadOf,
        log,
      ),
    )
    part('delivery', () => outbox.deliver())
    part('policy and evacuations', () => decide(now))
    part('settings of backups', () => options.settingsPush.pass(now))
    part('boot tests', () => bootTests(now))
    part('pruning', () => prune(now))
  }

  const loop = async () => {
    while (!stop.signal.aborted) {
      pass()
      const tick = new AbortController()
      // `close` wakes it too: a signal joined anew each second from a lasting one would pile up on that.
      await Promise.race([clock.sleep(TICK_MS, tick.signal), wake.promise])
      tick.abort()
      wake = Promise.withResolvers<void>()
      await clock.sleep(COALESCE_MS, stop.signal)
    }
  }
  const running = loop()

  return {
    nudge: () => wake.resolve(),
    pass,
    view: () => ({ heldBack, nPlusOne: diagnosis.nPlusOne() }),
    close: async () => {
      stop.abort()
      wake.resolve()
      await running
      await outbox.idle()
    },
  }
}
