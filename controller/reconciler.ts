import type { Clock } from '../shared/clock.ts'
import { HOUR_MS, SECOND_MS } from '../shared/domain/units.ts'
import { formatErrorChain } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Outbox } from './alerts/outbox.ts'
import { applyAlerts } from './alerts/raise.ts'
import { backupFindings } from './backup/backup-findings.ts'
import type { BootTestNights } from './backup/boot-test-nights.ts'
import { readBackups } from './backup/known.ts'
import type { SettingsPush } from './backup/settings-push.ts'
import { commonRelief } from './capacity/common-relief.ts'
import type { ControllerConfig } from './config.ts'
import { type BladeEvidence, type Case, DEFAULT_HOLDS, type Finding } from './diagnosis/case.ts'
import { diagnose } from './diagnosis/engine.ts'
import { updateCases } from './diagnosis/update-cases.ts'
import { automationOf } from './evacuation/automation.ts'
import { commonCause } from './evacuation/brakes.ts'
import { bygoneEvacuations, settleBygone } from './evacuation/bygone.ts'
import type { Evacuations } from './evacuation/evacuations.ts'
import { decideEvacuations, type HeldBack } from './evacuation/policy.ts'
import { fleetFindings } from './fleet/fleet-findings.ts'
import type { FleetState } from './fleet/fleet-state.ts'
import type { FleetSnapshot } from './fleet/snapshot.ts'
import type { Operations } from './operations/operations.ts'
import type { NPlusOne } from './placement/plan.ts'
import { nPlusOne } from './placement/survives.ts'
import type { AlertRecord } from './store/alerts.ts'
import { wordsOf } from './store/evacuations.ts'
import type { OperationRecord } from './store/operations.ts'
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
  const listeningSince = clock.now()
  const stop = new AbortController()
  let wake = Promise.withResolvers<void>()
  let pending: ReadonlyMap<string, number> = new Map()
  let relief: { readonly lost: string; readonly texts: readonly string[] } = { lost: '[]', texts: [] }
  let view: ReconcilerView = { heldBack: [], nPlusOne: { kept: true, text: '', notSurvivable: [] } }
  let nextPruneAt = 0

  /** Looked for when other VMs or blades are lost than before: it is a search, and its figures would move every second. */
  const reliefOf = (snapshot: FleetSnapshot): readonly string[] => {
    const lost = JSON.stringify(view.nPlusOne.notSurvivable)
    if (lost !== relief.lost) {
      relief = { lost, texts: commonRelief(snapshot, view.nPlusOne).map(each => each.text) }
    }
    return relief.texts
  }

  const findings = (
    snapshot: FleetSnapshot,
    open: readonly Case[],
    bygone: readonly OperationRecord[],
    now: number,
  ): Finding[] => {
    const over = new Set(bygone.map(operation => operation.id))
    const blades = store.blades.list().filter(blade => blade.joinedAt > 0)
    const evidence = blades.map(
      (blade): BladeEvidence => ({
        blade: blade.name,
        chassis: blade.chassis,
        facts: blade.report?.facts ?? [],
        baseline: blade.baseline,
        complete: blade.report?.complete ?? true,
      }),
    )
    const hardware = diagnose(evidence, now, { neededSupplies: config.power.neededSupplies, open })
    const common = commonCause(open, snapshot.blades)
    const fleetWide = fleetFindings({
      now,
      snapshot,
      blades,
      vms: store.vms.list(),
      nPlusOne: view.nPlusOne,
      nPlusOneRelief: reliefOf(snapshot),
      unsettled: store.operations.unsettled().filter(operation => !over.has(operation.id)),
      listeningSince,
      silentAfterMs: config.liveness.silentAfterMs,
    })
    const backups = backupFindings({
      now,
      snapshot,
      known: readBackups(store, config.backup),
      outcomes: store.backups.outcomes(),
      listeningSince,
    })
    return [...hardware, ...fleetWide, ...backups, ...(common === undefined ? [] : [common])]
  }

  /** Facts → cases. Health, and so placement, follows the cases: the next snapshot already has it. */
  const diagnoseFleet = (now: number) => {
    const snapshot = fleet.snapshot(now)
    view = { ...view, nPlusOne: nPlusOne(snapshot) }
    const open = store.cases.open()
    const bygone = bygoneEvacuations(store, snapshot)
    const edits = updateCases(
      open,
      findings(snapshot, open, bygone, now),
      now,
      DEFAULT_HOLDS,
      () => `c${store.settings.nextNumber('case')}`,
      pending,
    )
    pending = edits.pending
    const before = new Map(open.map(each => [each.id, JSON.stringify({ ...each, lastFoundAt: 0 })]))
    // lastFoundAt alone moves each second and decides nothing after a restart: it is no reason to write.
    const changed = [...edits.cases, ...edits.closed].filter(
      each => before.get(each.id) !== JSON.stringify({ ...each, lastFoundAt: 0 }),
    )
    if (changed.length > 0) {
      store.transaction(() => {
        for (const each of changed) store.cases.save(each)
      })
      fleet.touch()
    }
    settleBygone(store, bygone, edits.cases, now)
    for (const line of edits.story) {
      log.info(line)
      tellBlades(line, [...edits.cases, ...edits.closed], now)
    }
  }

  const tellBlades = (line: string, cases: readonly Case[], now: number) => {
    const id = /^case (\S+)/.exec(line)?.[1]
    for (const blade of cases.find(each => each.id === id)?.blades ?? [])
      store.stories.tell('blade', blade, now, line)
  }

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
    const heldBack = [...decision.heldBack, ...evacuations.advance()]
    announceHeldBack(heldBack)
    view = { ...view, heldBack }
  }

  const announceHeldBack = (heldBack: readonly HeldBack[]) => {
    // The time left to the hold counts down in the text; that is no news.
    const key = (text: string) => text.replace(/\d+(\.\d+)? (ms|s|min|h|d)\b/g, '')
    const known = new Set(view.heldBack.map(each => key(each.text)))
    for (const each of heldBack) if (!known.has(key(each.text))) log.info(`held back: ${each.text}`)
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
    part('diagnosis', () => diagnoseFleet(now))
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
    view: () => view,
    close: async () => {
      stop.abort()
      wake.resolve()
      await running
      await outbox.idle()
    },
  }
}
