import { ADMIN_STATES, type AdminState } from '../../shared/domain/fleet.ts'
import { parseBladeName } from '../../shared/domain/ids.ts'
import { MINUTE_MS } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'
import { baselineOf } from '../diagnosis/baseline.ts'
import { issueToken } from '../enrolment/tokens.ts'
import { describeBaseline } from '../fleet/fleet-state.ts'
import type { BladeRecord } from '../store/blades.ts'
import type { AdminHandlers, ApiContext } from './context.ts'
import { requireBlade, tokenMinutes } from './find.ts'
import { bladeToWire } from './views.ts'

type BladeHandlers = Pick<
  AdminHandlers,
  'listBlades' | 'getBlade' | 'addBlade' | 'setBlade' | 'setBladeAdmin' | 'removeBlade'
>

/** Blades: list, show, add and remove, what is known of them, admin state. Unknown ones are `not-found`. */
export function bladeHandlers(context: ApiContext): BladeHandlers {
  const { store, clock, fleet } = context

  const view = (name: string) =>
    bladeToWire(requireBlade(store, name), fleet.snapshot(clock.now()), context.config)
  const changed = (name: string, text: string) => {
    store.stories.tell('blade', name, clock.now(), text)
    context.log.info(`blade ${name}: ${text}`)
    fleet.touch()
    context.nudge()
  }

  return {
    listBlades: () => {
      const snapshot = fleet.snapshot(clock.now())
      return { blades: store.blades.list().map(blade => bladeToWire(blade, snapshot, context.config)) }
    },
    getBlade: ({ name }) => view(name),
    addBlade: (request, caller) => addBlade(context, request, caller),
    setBlade: (request, caller) => {
      const blade = requireBlade(store, request.name)
      const change = setChange(blade, request)
      store.transaction(() => {
        store.blades.update(blade.name, change)
        if (request.newBaseline) newBaseline(context, blade, caller)
      })
      const words = Object.keys(change).join(', ')
      if (words !== '') changed(blade.name, `${words} set by ${caller}`)
      return view(blade.name)
    },
    setBladeAdmin: ({ name, admin, reason }, caller) => {
      const blade = requireBlade(store, name)
      if (!(admin in ADMIN_STATES)) {
        throw new LifeboatError(
          'bad-input',
          `'${admin}' is not an admin state: ${Object.keys(ADMIN_STATES).join(', ')}`,
        )
      }
      store.blades.update(name, { admin: admin as AdminState, adminReason: reason })
      if (blade.admin !== admin) {
        changed(name, `${blade.admin} => ${admin} (by ${caller}${reason === '' ? '' : `: ${reason}`})`)
      }
      return view(name)
    },
    removeBlade: ({ name }, caller) => {
      const blade = requireBlade(store, name)
      refuseWithVms(context, blade)
      store.transaction(() => {
        store.tokens.removeOf(name)
        store.blades.remove(name)
      })
      context.sessions.end(name)
      changed(name, `removed from the fleet by ${caller}; its certificate is not valid any more`)
      return {}
    },
  }
}

function addBlade(
  context: ApiContext,
  request: Parameters<AdminHandlers['addBlade']>[0],
  caller: string,
): ReturnType<AdminHandlers['addBlade']> {
  const { store, clock } = context
  const name = parseBladeName(request.name)
  const minutes = tokenMinutes(request.tokenTtlMinutes)
  // The name stands in certificates: whoever has it is taken for its bearer.
  if (name === 'controller' || store.vaults.get(name) !== undefined) {
    throw new LifeboatError(
      'already-exists',
      `${name} is the name of ${name === 'controller' ? 'the controller' : 'a vault'}`,
    )
  }
  const now = clock.now()
  if (context.sessions.isConnected(name)) {
    throw new LifeboatError(
      'already-exists',
      `${name} has joined and is connected; \`lifeboat blade remove ${name}\` first if it is to join anew`,
    )
  }
  const token = store.transaction(() => {
    const { chassis, slot, feeds, switches } = request
    // A blade that is known keeps what is known of it: its disk was replaced, or its token expired.
    if (store.blades.get(name) === undefined) {
      store.blades.add({ name, chassis, slot, feeds, switches, addedAt: now })
    }
    store.stories.tell('blade', name, now, `token made by ${caller}`)
    return issueToken(
      store.tokens,
      context.ids,
      { name, role: 'blade' },
      context.authorityFingerprint,
      now,
      minutes * MINUTE_MS,
    )
  })
  context.log.info(`blade ${name}: added by ${caller}, token good for ${minutes} min`)
  context.fleet.touch()
  return {
    name,
    token: token.text,
    expiresAt: token.expiresAt,
    joinCommand: `lifeboat-agent join --controller ${context.joinAddress()} ${token.text}`,
  }
}

function setChange(
  blade: BladeRecord,
  request: Parameters<AdminHandlers['setBlade']>[0],
): Partial<Omit<BladeRecord, 'name'>> {
  if (request.maxVms !== undefined && (request.maxVms < 0 || request.maxVms > 1000)) {
    throw new LifeboatError('bad-input', `max VMs of ${blade.name} must be 1 to 1000, or 0 for the default`)
  }
  return {
    ...(request.chassis === undefined ? {} : { chassis: request.chassis }),
    ...(request.slot === undefined ? {} : { slot: request.slot }),
    ...(request.feeds.length === 0 ? {} : { feeds: request.feeds }),
    ...(request.switches.length === 0 ? {} : { switches: request.switches }),
    ...(request.maxVms === undefined ? {} : { maxVms: request.maxVms }),
  }
}

function newBaseline({ store, clock, log, nudge }: ApiContext, blade: BladeRecord, caller: string): void {
  if (blade.report === undefined || !blade.report.complete) {
    throw new LifeboatError(
      'refused',
      `the last report of ${blade.name} is ${blade.report === undefined ? 'missing' : 'incomplete'}: no baseline can be taken; lifeboat blade show ${blade.name}`,
    )
  }
  const baseline = baselineOf(blade.report.facts, clock.now())
  store.blades.update(blade.name, { baseline })
  const text = `new baseline by ${caller}: ${describeBaseline(baseline)}`
  store.stories.tell('blade', blade.name, clock.now(), text)
  log.info(`blade ${blade.name}: ${text}`)
  nudge()
}

/** A blade in maintenance may go with its VMs: it is dead, or somebody knows what he does. */
function refuseWithVms(context: ApiContext, blade: BladeRecord): void {
  const snapshot = context.fleet.snapshot(context.clock.now())
  const vms = snapshot.vms.filter(vm => vm.blade === blade.name).map(vm => vm.name)
  const busy = context.store.operations
    .active()
    .find(operation => operation.from === blade.name || operation.to === blade.name)
  if (busy !== undefined) {
    throw new LifeboatError(
      'busy',
      `operation ${busy.id} works with ${blade.name}; lifeboat operation watch ${busy.id}`,
    )
  }
  if (vms.length === 0 || blade.admin === 'maintenance') return
  throw new LifeboatError(
    'refused',
    `${blade.name} still has ${vms.length} VMs (${vms.join(', ')}); \`lifeboat evacuate ${blade.name}\` first, or \`lifeboat blade maintenance ${blade.name}\` if it is gone for good`,
  )
}
