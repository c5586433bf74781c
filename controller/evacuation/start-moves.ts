import { errorCode, formatErrorChain } from '../../shared/errors.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { Operations } from '../operations/operations.ts'
import type { OperationServices } from '../operations/services.ts'
import { companyOf, recheckMove } from '../placement/gate.ts'
import { planMove } from '../placement/make-plan.ts'
import type { PlanLimits } from '../placement/times.ts'
import { type EvacuationMove, type EvacuationRecord, isComing } from '../store/evacuations.ts'
import type { Brake } from './brakes.ts'
import { skipMove, tellPlan } from './evacuation-story.ts'
import { areFiguresOld } from './old-figures.ts'
import { begunBefore, heededByReplan, isSilent, planAround, withPlanned } from './plan-around.ts'
import { toMove } from './planned-move.ts'
import { isOfUse } from './steps-aside.ts'

/**
 * Begins the planned moves of one evacuation whose turn has come, each asked of the gate once more on a fresh snapshot;
 * one that no longer fits is skipped or planned anew. Returns the function that does so, for the evacuation's id.
 */
export function createMoveStarter(
  services: Pick<OperationServices, 'store' | 'fleet' | 'clock' | 'log'>,
  operations: Pick<Operations, 'startMove'>,
  limits: PlanLimits,
  brake: () => Brake | undefined,
): (evacuation: string) => void {
  const { store, fleet, clock, log } = services

  const startWhatMay = (id: string) => {
    for (const move of store.evacuations.get(id)?.moves ?? []) {
      if (move.state !== 'planned') continue
      const evacuation = store.evacuations.get(id)
      if (evacuation === undefined || waitsForOthers(evacuation, move)) continue
      if (!hasSlot(move, store.evacuations.active())) continue
      // Each look is a fresh one: the move that was started a moment ago holds its room already.
      consider(evacuation, move, fleet.snapshot(clock.now()))
    }
  }

  const consider = (evacuation: EvacuationRecord, move: EvacuationMove, snapshot: FleetSnapshot) => {
    const id = evacuation.operation
    const vm = snapshot.vms.find(each => each.id === move.vmId)
    if (vm === undefined || vm.blade !== move.from) {
      const where = vm === undefined ? 'no blade reports it any more' : `it is on ${vm.blade} already`
      return skipMove(services, id, move, where)
    }
    if (!isOfUse(evacuation, move, snapshot))
      return skipMove(services, id, move, 'nobody needs the room any more that it was to make')
    const company = companyOf(evacuation.moves.filter(isComing), move)
    const reasons = recheckMove(snapshot, move, { company })
    if (reasons.some(reason => reason.code === 'vm-busy' || reason.code === 'facts-stale')) return
    const texts = reasons.map(reason => reason.text)
    if (reasons.length === 0) {
      const first = begunBefore(store.evacuations.active(), id, brake() !== undefined)
      if (recheckMove(withPlanned(snapshot, first), move, { company }).length > 0)
        texts.push(`${move.to} is to take VMs of an evacuation that was begun earlier`)
    }
    if (texts.length === 0) startOrFail(evacuation, move, vm)
    else if (!areFiguresOld(evacuation, move, snapshot, { endedAt, now: clock.now() }))
      replan(evacuation, move, snapshot, texts.join('; '))
  }

  const endedAt = (operation: string) => store.operations.get(operation)?.endedAt ?? 0

  /**
   * Others go first that make room for it. When one of them failed, the re-check says whether there is room all the
   * same; if not, the VM gets a new plan like any whose target no longer fits.
   */
  const waitsForOthers = (evacuation: EvacuationRecord, move: EvacuationMove) =>
    evacuation.moves.some(
      other =>
        move.needs.includes(other.vmId) &&
        (other.state === 'running' || (other.state === 'planned' && !isOnSilent(other))),
    )

  const isOnSilent = ({ from }: EvacuationMove) =>
    fleet.snapshot(clock.now()).blades.some(blade => blade.name === from && isSilent(blade))

  /** Concurrency bounds what the disks and links carry; what follows the copy are a few small commands on each side. */
  const stillCopies = (move: EvacuationMove) =>
    store.operations.get(move.operation)?.steps.find(step => step.name === 'send')?.state !== 'done'

  const hasSlot = (move: EvacuationMove, all: readonly EvacuationRecord[]) => {
    const running = all
      .flatMap(each => each.moves)
      .filter(each => each.state === 'running' && stillCopies(each))
    const fromHere = running.filter(each => each.from === move.from).length
    const toThere = running.filter(each => each.to === move.to).length
    return fromHere < limits.concurrentPerSource && toThere < limits.concurrentPerTarget
  }

  /** A move that cannot even begin is a failed one: it must keep no other VM on the blade (rule 10). */
  const startOrFail: typeof start = (evacuation, move, vm) => {
    try {
      start(evacuation, move, vm)
    } catch (error) {
      if (errorCode(error) === 'busy') return
      const why = formatErrorChain(error)
      store.evacuations.updateMove(evacuation.operation, move.seq, { state: 'failed', error: why })
      log.error(`vm ${move.vm}: its move cannot begin`, { error: why })
    }
  }

  const start = (evacuation: EvacuationRecord, move: EvacuationMove, vm: FleetSnapshot['vms'][number]) => {
    if (move.method !== 'live' && move.method !== 'cold')
      return skipMove(services, evacuation.operation, move, `${move.method} is not possible yet`)
    const operation = operations.startMove({
      vm,
      to: move.to,
      method: move.method,
      plan: move.plan,
      parent: evacuation.operation,
      cause: evacuation.cause,
      requestedBy: store.operations.get(evacuation.operation)?.requestedBy ?? '',
      override: false,
    })
    store.evacuations.updateMove(evacuation.operation, move.seq, {
      state: 'running',
      operation: operation.id,
    })
  }

  /**
   * A planned target that no longer fits is not bent: the VM gets one new plan of its own, and no third. One that only
   * makes room, or evens out the load, has no reason to go anywhere else.
   */
  const replan = (
    evacuation: EvacuationRecord,
    move: EvacuationMove,
    snapshot: FleetSnapshot,
    why: string,
  ) => {
    // One piece: killed between the two, it would leave the VM where it is, without a word of a new plan.
    store.transaction(() => {
      skipMove(services, evacuation.operation, move, why)
      if (move.plan !== evacuation.plan || move.role !== 'leaves') return
      const id = `p${store.settings.nextNumber('plan')}`
      const active = store.evacuations.active()
      const heeded = heededByReplan(active, evacuation.operation, brake() !== undefined)
      const plan = planAround(snapshot, heeded, view =>
        planMove(view, {
          vmId: move.vmId,
          cause: `${evacuation.cause}; plan ${move.plan} no longer fits: ${why}`,
          id,
          now: clock.now(),
          limits,
        }),
      )
      store.plans.add(plan)
      tellPlan(services, plan)
      const seq = Math.max(...evacuation.moves.map(each => each.seq)) + 1
      for (const next of plan.moves)
        store.evacuations.addMove(evacuation.operation, toMove(next, seq, plan.id))
    })
  }

  return startWhatMay
}
