import assert from 'node:assert/strict'
import type {
  Alert,
  Automation,
  Blade,
  Operation,
  Plan,
  Status,
  VmView,
} from '../../../../proto/gen/lifeboat/v1/admin.ts'
import { connectBmc, setSupply } from '../../bmc.ts'
import type { Lab } from '../../lab.ts'
import { GUESTS, POWER_SUPPLIES } from '../../settings.ts'
import { waitFor } from '../../wait.ts'

/** A look costs a start of Node in a slow kernel; looking oftener would slow down what is looked at. */
export const LOOK_MS = 1_000
/** An operation that takes longer hangs: a move alone on a free machine takes 8 s, on a busy one a minute. */
export const OPERATION_LIMIT_MS = 480_000
/** A full look of an agent, should its libvirt have told nothing. */
const REPORT_LIMIT_MS = 60_000
/** A case closes after its hold of 30 s; a resync and a restart of an agent may come before it. */
const CALM_LIMIT_MS = 240_000

export const blades = (lab: Lab) => lab.cliJson<Blade[]>(['blade', 'list'])
export const vms = (lab: Lab) => lab.cliJson<VmView[]>(['vm', 'list'])
export const openAlerts = (lab: Lab) => lab.cliJson<Alert[]>(['alert', 'list'])
export const status = (lab: Lab) => lab.cliJson<Status>(['status'])
export const automation = (lab: Lab) => lab.cliJson<Automation>(['automation', 'status'])
export const plan = (lab: Lab, id: string) => lab.cliJson<Plan>(['plan', 'show', id])
export const operation = (lab: Lab, id: string) => lab.cliJson<Operation>(['operation', 'show', id])
export const operations = (lab: Lab, ...args: string[]) =>
  lab.cliJson<Operation[]>(['operation', 'list', '--all', ...args])

export async function blade(lab: Lab, name: string): Promise<Blade> {
  return lab.cliJson<Blade>(['blade', 'show', name])
}

export async function vm(lab: Lab, name: string): Promise<VmView> {
  return lab.cliJson<VmView>(['vm', 'show', name])
}

/** Follows an operation to its end, whatever that is, and returns it with its steps and commands. */
export async function ended(lab: Lab, id: string): Promise<Operation> {
  // Its exit code tells the outcome; an outcome a story does not expect is for the story to say.
  await lab.cli(['operation', 'watch', id], OPERATION_LIMIT_MS)
  const found = await operation(lab, id)
  assert.ok(found.endedAt > 0, `${id} has not ended: ${found.state}`)
  return found
}

/** Begins a move and returns the operation without waiting for it. */
export function beginMove(lab: Lab, name: string, to: string): Promise<Operation> {
  return lab.cliJson<Operation>(['vm', 'migrate', name, '--to', to, '--no-wait'])
}

/**
 * Moves a VM and fails with all that the operation says unless it is done. Returns when the controller has heard from
 * the target, too: its report of the VM, first paused and then running, may come a moment after the end of the move.
 */
export async function move(lab: Lab, name: string, to: string): Promise<Operation> {
  const begun = await beginMove(lab, name, to)
  const found = await ended(lab, begun.id)
  assert.equal(found.state, 'done', describeOperation(found))
  const arrived = async () => {
    const seen = await vm(lab, name)
    return seen.blade === to && seen.state !== 'paused'
  }
  await waitFor(`report of ${name} from ${to}`, arrived, REPORT_LIMIT_MS, LOOK_MS)
  return found
}

export function describeOperation(found: Operation): string {
  const steps = found.steps.map(step => `${step.name} ${step.state} ${step.error}`.trim())
  const failed = found.commands.filter(command => command.exitCode !== 0)
  const commands = failed.map(({ argv, stderrTail }) => `${argv.join(' ')}: ${stderrTail}`)
  return [`${found.id} ${found.vm} is ${found.state}: ${found.outcome}`, ...steps, ...commands].join('\n  ')
}

/** The alert of that code, as soon as it is told; throws after `limitMs`. */
export function alertOf(lab: Lab, code: string, limitMs: number): Promise<Alert> {
  return waitFor(
    `alert ${code}`,
    async () => (await openAlerts(lab)).find(alert => alert.code === code),
    limitMs,
    LOOK_MS,
  )
}

/** What is told since a moment, other than for information. */
export async function alertsSince(lab: Lab, sinceMs: number): Promise<Alert[]> {
  return (await openAlerts(lab)).filter(alert => alert.severity !== 'info' && alert.since >= sinceMs)
}

export async function alertGone(lab: Lab, code: string, limitMs = 120_000): Promise<void> {
  await waitFor(
    `end of alert ${code}`,
    async () => !(await openAlerts(lab)).some(alert => alert.code === code),
    limitMs,
    LOOK_MS,
  )
}

/**
 * Brings the lab back to a state a story can begin with, whatever the story before it left: every part whole,
 * automation on, every blade in service, healthy and up, nothing under way. Where the VMs are is left as it is.
 */
export async function calm(lab: Lab): Promise<void> {
  await connectBmc()
  for (let supply = 1; supply <= POWER_SUPPLIES; supply++) setSupply(supply, 'ok')
  await Promise.all(
    lab.blades.map(async name => {
      for (const fault of ['nic-a', 'nic-b', 'mirror']) await lab.heal(name, fault)
    }),
  )
  if ((await automation(lab)).paused) await lab.cliJson(['automation', 'resume'])
  for (const { name, admin } of await blades(lab))
    if (admin !== 'in-service') await lab.cliJson(['blade', 'uncordon', name])
  await waitFor('a calm fleet', () => isCalm(lab), CALM_LIMIT_MS, LOOK_MS)
}

/** Speaks of what an earlier story left undone; it stays until a person says that it is put right. */
const LEFT_BEHIND = 'operation-needs-admin'

async function isCalm(lab: Lab): Promise<boolean> {
  const found = await status(lab)
  const all = await blades(lab)
  const alerts = found.alerts.filter(alert => alert.severity !== 'info' && alert.code !== LEFT_BEHIND)
  const words = [
    ...all
      .filter(each => each.health !== 'healthy' || each.liveness !== 'up')
      .map(each => `${each.name} is ${each.health}, ${each.liveness}: ${each.reasons.join('; ')}`),
    ...alerts.map(alert => `${alert.code} is open`),
    ...found.operations.map(each => `${each.id} ${each.kind} ${each.vm} is ${each.state}`),
  ]
  if (words.length > 0) throw new Error(words.join(', '))
  return true
}

/** Moves VMs that are not where a story wants them; those whose blade is full wait until others have left it. */
export async function place(lab: Lab, wanted: Readonly<Record<string, string>>): Promise<void> {
  for (;;) {
    const away = (await vms(lab)).filter(({ name, blade: at }) => (wanted[name] ?? at) !== at)
    if (away.length === 0) return
    const all = await blades(lab)
    const hasRoom = (name: string) => all.some(each => each.name === name && each.vms.length < each.maxVms)
    const next = away.find(({ name }) => hasRoom(wanted[name] ?? ''))
    assert.ok(next !== undefined, `no place for ${away.map(({ name }) => name).join(', ')}`)
    await move(lab, next.name, wanted[next.name] ?? '')
  }
}

/** Moves VMs off a blade, each to the emptiest of the others, until it has that many free places for VMs. */
export async function leaveRoom(lab: Lab, name: string, free: number): Promise<void> {
  for (;;) {
    const all = await blades(lab)
    const full = all.find(each => each.name === name)
    const leaving = full !== undefined && full.vms.length > full.maxVms - free ? full.vms[0] : undefined
    if (leaving === undefined) return
    const others = all.filter(each => each.name !== name).sort((a, b) => a.vms.length - b.vms.length)
    await move(lab, leaving, others[0]?.name ?? name)
  }
}

/**
 * The end of every story that moved something: each guest runs on exactly one blade, the controller says the same as
 * the libvirts of all blades, no step of a guest was lost or doubled, and no blade is over its limit.
 */
export async function assertSound(lab: Lab, guests: readonly string[] = ALL_GUESTS): Promise<void> {
  await assertAgrees(lab, guests)
  await assertCounters(lab, guests)
  for (const each of await blades(lab))
    assert.ok(each.vms.length <= each.maxVms, `${each.name} has ${each.vms.length} VMs of ${each.maxVms}`)
}

export const ALL_GUESTS: readonly string[] = GUESTS.map(guest => guest.name)

/** What `virsh list` says on all blades together is what `lifeboat vm list` says; the report may be a moment late. */
export async function assertAgrees(lab: Lab, guests: readonly string[] = ALL_GUESTS): Promise<void> {
  await waitFor(
    'agreement of lifeboat vm list with virsh list on every blade',
    async () => {
      const [told, real] = await Promise.all([vms(lab), lab.whereGuestsRun()])
      for (const name of guests) {
        const active = real.get(name) ?? []
        assert.ok(active.length <= 1, `${name} runs on ${active.join(' and ')}`)
        const seen = told.find(each => each.name === name)
        const running = seen?.state === 'running' ? [seen.blade] : []
        assert.deepEqual(running, active, `${name}: told ${seen?.state} on ${seen?.blade}`)
        assert.equal(active.length, 1, `${name} runs nowhere`)
      }
      return true
    },
    60_000,
    LOOK_MS,
  )
}

async function assertCounters(lab: Lab, guests: readonly string[]): Promise<void> {
  for (const name of guests) {
    const { volumes, serial } = await lab.guestCounters(name)
    const lost = volumes.filter(volume => volume.badCount > 0)
    assert.deepEqual(lost, [], `${name}: steps lost on disk`)
    assert.ok(
      volumes.every(volume => volume.name === name),
      `${name}: a volume of another guest`,
    )
    const { doubled, missing, mismatches, ioErrors } = serial
    assert.deepEqual(
      { doubled, missing, mismatches, ioErrors },
      { doubled: [], missing: [], mismatches: 0, ioErrors: 0 },
      `${name}: its serial line`,
    )
  }
}
