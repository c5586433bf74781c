import type { VmView as WireVmView } from '../../proto/gen/lifeboat/v1/admin.ts'
import { BACKUP_MODES } from '../../shared/domain/backup.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { readBackups, tellingFailures } from '../backup/known.ts'
import { heededByMigration, planAround } from '../evacuation/plan-around.ts'
import type { VmView } from '../fleet/snapshot.ts'
import { VM_ACTIONS, type VmAction } from '../operations/vm-action-saga.ts'
import { admit } from '../placement/gate.ts'
import { planMove } from '../placement/make-plan.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { refuseLost, requireBlade, requireVm } from './find.ts'
import { operationToWire, plannedOperation } from './operation-view.ts'
import { vmViewToWire } from './views.ts'

/** VMs: list, show, start, stop, pause, resume, migrate. What the gate refuses is `refused`, with every reason. */
export function vmHandlers(
  context: ApiContext,
): Pick<AdminHandlers, 'listVms' | 'getVm' | 'setVmTags' | 'changeVm' | 'migrateVm'> {
  const { store, fleet, clock } = context
  const views = (vms: readonly VmView[]) => {
    const now = clock.now()
    const known = tellingFailures(readBackups(store, context.config.backup), store.backups.outcomes())
    const tags = store.tags.all()
    return vms.map(vm =>
      vmViewToWire(vm, { tags: tags.get(vm.id) ?? {}, standing: known.standingOf(vm, now) }),
    )
  }
  const view = (name: string) => {
    const [only] = views([requireVm(fleet.snapshot(clock.now()), name)])
    return only as WireVmView
  }
  return {
    listVms: ({ blade }) => {
      if (blade !== '') requireBlade(store, blade)
      const { vms } = fleet.snapshot(clock.now())
      return { vms: views(vms.filter(vm => blade === '' || vm.blade === blade)) }
    },
    getVm: ({ name }) => view(name),
    setVmTags: (request, caller) => {
      setTags(context, request, caller)
      return view(request.name)
    },
    changeVm: ({ name, action, force }, caller) => {
      if (!Object.hasOwn(VM_ACTIONS, action)) {
        throw new LifeboatError('bad-input', `'${action}' is not something a VM can be told`)
      }
      const snapshot = fleet.snapshot(clock.now())
      const vm = requireVm(snapshot, name)
      refuseLost(vm)
      // Asked here too, so that a person hears it at once and not from a failed operation.
      const asks = action === 'start' && vm.state !== 'running'
      const reasons = asks ? admit(snapshot, vm, vm.blade, { purpose: 'start', override: force }) : []
      if (reasons.length > 0) {
        throw new LifeboatError('refused', `${vm.name} may not start on ${vm.blade}`, {
          details: [
            ...reasons.map(reason => reason.text),
            `lifeboat vm start ${vm.name} --force passes over placement rules`,
          ],
        })
      }
      const operation = context.operations.startAction({
        vm,
        action: action as VmAction,
        force,
        requestedBy: caller,
      })
      return operationToWire(context, operation)
    },
    migrateVm: (request, caller) => migrate(context, request, caller),
  }
}

/** The one tag there is: an unknown one would be a typo that turns nothing off. */
const TAGS: Readonly<Record<string, readonly string[]>> = { backup: Object.keys(BACKUP_MODES) }

function setTags(
  { store, fleet, clock, log, nudge }: ApiContext,
  request: Parameters<AdminHandlers['setVmTags']>[0],
  caller: string,
): void {
  const vm = requireVm(fleet.snapshot(clock.now()), request.name)
  const set = request.set.map(readTag)
  for (const name of request.remove) requireTag(name)
  store.transaction(() => {
    for (const name of request.remove) store.tags.remove(vm.id, name)
    for (const { name, value } of set) store.tags.set(vm.id, name, value)
    const words = [...request.set, ...request.remove.map(name => `no ${name}`)].join(', ')
    if (words === '') return
    const line = `tags: ${words} (by ${caller})`
    store.stories.tell('vm', vm.id, clock.now(), line)
    log.info(`vm ${vm.name}: ${line}`)
  })
  nudge()
}

function readTag(text: string): { name: string; value: string } {
  const [name = '', value = ''] = text.split('=', 2)
  const values = requireTag(name)
  if (values.includes(value)) return { name, value }
  throw new LifeboatError('bad-input', `'${text}': the tag ${name} is one of ${values.join(', ')}`)
}

function requireTag(name: string): readonly string[] {
  const values = Object.hasOwn(TAGS, name) ? TAGS[name] : undefined
  if (values !== undefined) return values
  throw new LifeboatError('bad-input', `'${name}' is no tag; there is ${Object.keys(TAGS).join(', ')}`)
}

function migrate(
  context: ApiContext,
  request: Parameters<AdminHandlers['migrateVm']>[0],
  caller: string,
): ReturnType<AdminHandlers['migrateVm']> {
  const { store, fleet, clock, config } = context
  const now = clock.now()
  const snapshot = fleet.snapshot(now)
  const vm = requireVm(snapshot, request.name)
  refuseLost(vm)
  if (request.to !== '') requireBlade(store, request.to)
  const cause = `migration of ${vm.name}, asked for by ${caller}`
  return store.transaction(() => {
    const asked = {
      vmId: vm.id,
      to: request.to === '' ? undefined : request.to,
      override: request.overrideRules,
      id: request.planOnly ? '' : `p${store.settings.nextNumber('plan')}`,
      cause,
      now,
      limits: config.evacuation,
    }
    const heeded = heededByMigration(store.evacuations.active())
    const plan = planAround(snapshot, heeded, view => planMove(view, asked))
    const move = plan.moves[0]
    if (move === undefined || (move.method !== 'live' && move.method !== 'cold')) {
      // Of one blade that was named, "fits on none of 1 blade" says nothing.
      const reasons = plan.unplaced
        .flatMap(each => each.reasons)
        .filter(reason => request.to === '' || reason.code !== 'no-blade-left')
        .map(reason => reason.text)
      const where = request.to === '' ? 'BLADE' : request.to
      throw new LifeboatError(
        'refused',
        `${vm.name} cannot move${request.to === '' ? '' : ` to ${request.to}`}`,
        {
          details: [
            ...reasons,
            `lifeboat why-not ${vm.name} ${where} explains ${request.to === '' ? 'a single blade' : 'it'}`,
          ],
        },
      )
    }
    if (request.planOnly) return plannedOperation(move, cause)
    store.plans.add(plan)
    const operation = context.operations.startMove({
      vm,
      to: move.to,
      method: move.method,
      plan: plan.id,
      parent: '',
      cause,
      requestedBy: caller,
      override: request.overrideRules && request.to !== '',
    })
    return operationToWire(context, operation)
  })
}
