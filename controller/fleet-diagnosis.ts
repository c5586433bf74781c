import type { Clock } from '../shared/clock.ts'
import type { Logger } from '../shared/log.ts'
import { backupFindings } from './backup/backup-findings.ts'
import { readBackups } from './backup/known.ts'
import { commonRelief } from './capacity/common-relief.ts'
import type { ControllerConfig } from './config.ts'
import { type BladeEvidence, type Case, DEFAULT_HOLDS, type Finding } from './diagnosis/case.ts'
import { diagnose } from './diagnosis/engine.ts'
import { updateCases } from './diagnosis/update-cases.ts'
import { commonCause } from './evacuation/brakes.ts'
import { bygoneEvacuations, settleBygone } from './evacuation/bygone.ts'
import { fleetFindings } from './fleet/fleet-findings.ts'
import type { FleetState } from './fleet/fleet-state.ts'
import type { FleetSnapshot } from './fleet/snapshot.ts'
import type { NPlusOne } from './placement/plan.ts'
import { nPlusOne as nPlusOneOf } from './placement/survives.ts'
import type { OperationRecord } from './store/operations.ts'
import type { Store } from './store/store.ts'

/** The half of a pass that acts on nothing: from all that is known to the open cases. */
export interface FleetDiagnosis {
  /** Facts → cases. Health, and so placement, follows the cases: the next snapshot already has it. */
  update(now: number): void
  /** As the last update found it. */
  nPlusOne(): NPlusOne
}

export interface FleetDiagnosisOptions {
  readonly store: Store
  readonly fleet: FleetState
  readonly config: ControllerConfig
  readonly clock: Clock
  readonly log: Logger
}

/** It listens from now on: nobody is called silent for a time before that. */
export function createFleetDiagnosis(options: FleetDiagnosisOptions): FleetDiagnosis {
  const { store, fleet, config, log } = options
  const listeningSince = options.clock.now()
  let pending: ReadonlyMap<string, number> = new Map()
  let relief: { readonly lost: string; readonly texts: readonly string[] } = { lost: '[]', texts: [] }
  let nPlusOne: NPlusOne = { kept: true, text: '', notSurvivable: [] }

  /** Looked for when other VMs or blades are lost than before: it is a search, and its figures would move every second. */
  const reliefOf = (snapshot: FleetSnapshot): readonly string[] => {
    const lost = JSON.stringify(nPlusOne.notSurvivable)
    if (lost !== relief.lost) {
      relief = { lost, texts: commonRelief(snapshot, nPlusOne).map(each => each.text) }
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
      nPlusOne,
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

  const update = (now: number) => {
    const snapshot = fleet.snapshot(now)
    nPlusOne = nPlusOneOf(snapshot)
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

  return { update, nPlusOne: () => nPlusOne }
}
