import { errorCode, formatErrorChain, LifeboatError } from '../../shared/errors.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { Operations } from '../operations/operations.ts'
import type { OperationServices } from '../operations/services.ts'
import { companyOf, recheckMove } from '../placement/gate.ts'
import { planEvacuation, planMove } from '../placement/make-plan.ts'
import type { Plan } from '../placement/plan.ts'
import type { AskedCause } from '../placement/rules.ts'
import { type EvacuationMove, type EvacuationRecord, wordsOf } from '../store/evacuations.ts'
import type { OperationRecord } from '../store/operations.ts'
import { summary, toMove, waiting, yielding } from './evacuation-words.ts'
import { areFiguresOld } from './old-figures.ts'
import type { HeldBack } from './policy.ts'
import { isOfUse } from './steps-aside.ts'

export interface NewEvacuation {
  readonly blade: string
  readonly cause: string
  /** Empty when a person asked. */
  readonly caseKey: string
  readonly caseId: string
  /** What each VM's policy goes by. Default: a person asked. */
  readonly trigger?: AskedCause
  readonly requestedBy: string
}

/**
 * Emptying a blade: a reconciler over stored evacuations. It may run at any time and at any speed: what it needs is
 * read anew on each pass, so a restart is nothing special. A plan leaves it no choice but when, and whether at all.
 */
export interface Evacuations {
  /** Plans, stores, and lets the next pass begin. Throws `busy` when the blade is being emptied already. */
  begin(request: NewEvacuation): { plan: Plan; operation: OperationRecord }
  /**
   * Carries out a plan that was made by others, like a rebalancing: `makePlan` is asked for it within the transaction,
   * with the id it gets. Throws `busy` when one for the same blade (or for none) is under way.
   */
  beginPlan(
    request: NewEvacuation,
    makePlan: (snapshot: FleetSnapshot, head: { id: string; now: number }) => Plan,
  ): { plan: Plan; operation: OperationRecord }
  /** One pass over all of them. Returns what is kept from going on, by a pause or for another, one sentence each. */
  advance(): HeldBack[]
  /** Moves under way are aborted, the others never begin. Throws `not-found` when it is not under way. */
  abort(operation: string, by: string): void
}

export interface EvacuationLimits {
  readonly concurrentPerSource: number
  readonly concurrentPerTarget: number
  readonly moveDeadlineMs: number
}

/** `isPaused` is asked once a pass, so that a pause holds for all of it. */
export function createEvacuations(
  services: Pick<OperationServices, 'store' | 'fleet' | 'clock' | 'log'>,
  operations: Operations,
  limits: EvacuationLimits,
  isPaused: () => boolean,
): Evacuations {
  const { store, fleet, clock, log } = services
  const toldToAbort = new Set<string>()

  const beginPlan: Evacuations['beginPlan'] = (request, makePlan) => {
    const under = store.evacuations.active().find(each => each.blade === request.blade)
    if (under !== undefined) {
      throw new LifeboatError(
        'busy',
        `${wordsOf(under)} already; lifeboat operation watch ${under.operation}`,
      )
    }
    const now = clock.now()
    return store.transaction(() => {
      const plan = makePlan(fleet.snapshot(now), { id: `p${store.settings.nextNumber('plan')}`, now })
      store.plans.add(plan)
      const deadlineAt = now + limits.moveDeadlineMs * Math.max(1, plan.moves.length)
      const { cause, requestedBy, blade } = request
      const operation = operations.addParent({ from: blade, plan: plan.id, cause, requestedBy, deadlineAt })
      store.evacuations.add({
        operation: operation.id,
        plan: plan.id,
        blade,
        cause,
        caseKey: request.caseKey,
        caseId: request.caseId,
        state: 'running',
        startedAt: now,
        endedAt: 0,
        moves: plan.moves.map((move, seq) => toMove(move, seq, plan.id)),
      })
      tellPlan(plan, now)
      return { plan, operation }
    })
  }

  const begin = (request: NewEvacuation) => {
    const { blade: bladeName, cause, trigger = 'asked' } = request
    return beginPlan(request, (snapshot, head) =>
      planEvacuation(snapshot, { ...head, bladeName, cause, trigger, limits }),
    )
  }

  const tellPlan = (plan: Plan, now: number) => {
    log.info(
      `plan ${plan.id}: ${plan.moves.length} moves, ${plan.unplaced.length} VMs without a place (${plan.cause})`,
    )
    for (const move of plan.moves) {
      const best = move.scores[0]
      const score = best === undefined ? '' : `, score ${best.total.toFixed(2)}`
      store.stories.tell(
        'vm',
        move.vmId,
        now,
        `plan ${plan.id}: ${move.from} → ${move.to}, ${move.method}${score}: ${plan.cause}`,
      )
    }
    for (const left of plan.unplaced) {
      const why = left.reasons.map(reason => reason.text).join('; ')
      store.stories.tell('vm', left.vmId, now, `plan ${plan.id}: no place: ${why}`)
      log.warn(`plan ${plan.id}: no place for ${left.vm}: ${why}`)
    }
  }

  /**
   * The controller may have been killed between the start of an operation and the note of it here. Without this look a
   * failed one would pass for never begun, and be tried again blindly (rule 10).
   */
  const adoptStarted = (evacuation: EvacuationRecord) => {
    const planned = evacuation.moves.filter(move => move.state === 'planned')
    if (planned.length === 0) return
    const known = new Set(evacuation.moves.map(move => move.operation))
    for (const operation of store.operations.children(evacuation.operation)) {
      const move = planned.find(each => each.vmId === operation.vmId && each.plan === operation.plan)
      if (move === undefined || known.has(operation.id)) continue
      store.evacuations.updateMove(evacuation.operation, move.seq, {
        state: 'running',
        operation: operation.id,
      })
    }
  }

  const settleRunning = (id: string) => {
    for (const move of store.evacuations.get(id)?.moves ?? []) {
      if (move.state !== 'running') continue
      const operation = store.operations.get(move.operation)
      if (operation === undefined || operation.endedAt === 0) continue
      const state = operation.state === 'done' ? 'done' : 'failed'
      store.evacuations.updateMove(id, move.seq, { state, error: operation.outcome })
    }
  }

  const startWhatMay = (id: string) => {
    for (const move of store.evacuations.get(id)?.moves ?? []) {
      if (move.state !== 'planned') continue
      const evacuation = store.evacuations.get(id)
      if (evacuation === undefined || waitsForOthers(evacuation, move)) continue
      if (!hasSlot(move, store.evacuations.active())) continue
      // Each look is a fresh one: the move that was started a moment ago holds its room already.
      const snapshot = fleet.snapshot(clock.now())
      const vm = snapshot.vms.find(each => each.id === move.vmId)
      if (vm === undefined || vm.blade !== move.from) {
        const where = vm === undefined ? 'no blade reports it any more' : `it is on ${vm.blade} already`
        skip(id, move, where)
        continue
      }
      if (!isOfUse(evacuation, move, snapshot)) {
        skip(id, move, 'nobody needs the room any more that it was to make')
        continue
      }
      const company = companyOf(store.plans.get(move.plan), move)
      const reasons = recheckMove(snapshot, move, { company })
      if (reasons.some(reason => reason.code === 'vm-busy' || reason.code === 'facts-stale')) continue
      if (reasons.length > 0 && areFiguresOld(evacuation, move, snapshot, { endedAt, now: clock.now() }))
        continue
      if (reasons.length > 0)
        replan(evacuation, move, snapshot, reasons.map(reason => reason.text).join('; '))
      else startOrFail(evacuation, move, vm)
    }
  }

  /** An even load waits for a blade that is emptied: it may need the very room, and its plan has counted on it. */
  const emptiedBefore = ({ blade }: EvacuationRecord): EvacuationRecord | undefined =>
    blade === '' ? store.evacuations.active().find(each => each.blade !== '') : undefined

  const endedAt = (operation: string) => store.operations.get(operation)?.endedAt ?? 0

  /**
   * Others go first that make room for it. When one of them failed, the re-check says whether there is room all the
   * same; if not, the VM gets a new plan like any whose target no longer fits.
   */
  const waitsForOthers = (evacuation: EvacuationRecord, move: EvacuationMove) =>
    evacuation.moves.some(
      other =>
        move.needs.includes(other.vmId) &&
        (other.state === 'running' || (other.state === 'planned' && !isSilent(other.from))),
    )

  /** What is to leave it does not leave before it is back, and then finds another fleet. */
  const isSilent = (name: string) => {
    const blade = fleet.snapshot(clock.now()).blades.find(each => each.name === name)
    return blade?.liveness === 'silent' || blade?.liveness === 'fenced'
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

  const start = (evacuation: EvacuationRecord, move: EvacuationMove, vm: FleetSnapshot['vms'][number]) => {
    if (move.method !== 'live' && move.method !== 'cold')
      return skip(evacuation.operation, move, `${move.method} is not possible yet`)
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

  const skip = (id: string, move: EvacuationMove, why: string) => {
    store.evacuations.updateMove(id, move.seq, { state: 'skipped', error: why })
    const line = `vm ${move.vm}: planned => skipped (plan ${move.plan}, ${move.from} → ${move.to}): ${why}`
    store.stories.tell('vm', move.vmId, clock.now(), line)
    log.warn(line)
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
      skip(evacuation.operation, move, why)
      if (move.plan !== evacuation.plan || move.role !== 'leaves') return
      const plan = planMove(snapshot, {
        vmId: move.vmId,
        cause: `${evacuation.cause}; plan ${move.plan} no longer fits: ${why}`,
        id: `p${store.settings.nextNumber('plan')}`,
        now: clock.now(),
        limits,
      })
      store.plans.add(plan)
      tellPlan(plan, clock.now())
      const seq = Math.max(...evacuation.moves.map(each => each.seq)) + 1
      for (const next of plan.moves)
        store.evacuations.addMove(evacuation.operation, toMove(next, seq, plan.id))
    })
  }

  const endIfDone = (id: string) => {
    const evacuation = store.evacuations.get(id)
    if (evacuation === undefined || evacuation.moves.some(move => move.state === 'running')) return
    if (evacuation.state === 'running' && evacuation.moves.some(move => move.state === 'planned')) return
    for (const move of evacuation.moves)
      if (move.state === 'planned') skip(id, move, 'the evacuation was aborted')
    const now = clock.now()
    const end = summary(
      store.evacuations.get(id) ?? evacuation,
      store.plans.get(evacuation.plan),
      fleet.snapshot(now),
      now,
      (store.operations.get(id)?.deadlineAt ?? 0) < now,
    )
    store.transaction(() => {
      store.evacuations.setState(id, 'ended', now)
      operations.setState(id, end.state, { outcome: end.outcome, nextCommand: end.nextCommand })
    })
  }

  const abort = (id: string, by: string) => {
    const evacuation = store.evacuations.get(id)
    if (evacuation === undefined || evacuation.state === 'ended') {
      throw new LifeboatError('not-found', `no evacuation ${id} is under way; lifeboat operation list --all`)
    }
    store.evacuations.setState(id, 'aborting', 0)
    operations.setState(id, 'aborting', { outcome: `abort asked by ${by}` })
    abortRunning(evacuation, by)
  }

  /** Once in each life of the controller: one that was killed half way through an abort goes on with it. */
  const abortRunning = (evacuation: EvacuationRecord, by: string) => {
    for (const move of evacuation.moves) {
      if (move.state !== 'running' || toldToAbort.has(move.operation)) continue
      toldToAbort.add(move.operation)
      operations.abort(move.operation, by)
    }
  }

  return {
    begin,
    beginPlan,
    abort,
    advance: () => {
      const paused = isPaused()
      const heldBack: HeldBack[] = []
      for (const evacuation of store.evacuations.active()) {
        adoptStarted(evacuation)
        settleRunning(evacuation.operation)
        const operation = store.operations.get(evacuation.operation)
        const settled = store.evacuations.get(evacuation.operation)
        if (settled?.state === 'aborting') abortRunning(settled, 'the evacuation')
        if (evacuation.state === 'running' && (operation?.deadlineAt ?? 0) < clock.now()) {
          abort(evacuation.operation, 'its deadline')
        }
        // Rule 10: a pause holds back what automation has not begun; what a person asked for goes on.
        const held = paused && evacuation.caseId !== ''
        const first = emptiedBefore(evacuation)
        if (store.evacuations.get(evacuation.operation)?.state === 'running' && !held && first === undefined)
          startWhatMay(evacuation.operation)
        endIfDone(evacuation.operation)
        if (first !== undefined && store.evacuations.get(evacuation.operation)?.state === 'running')
          heldBack.push(yielding(evacuation, first))
        if (held && store.evacuations.get(evacuation.operation)?.state === 'running')
          heldBack.push(waiting(evacuation))
      }
      return heldBack
    },
  }
}
