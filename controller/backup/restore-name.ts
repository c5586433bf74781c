import { isTestVm, parseVmName, TEST_VM_PREFIX } from '../../shared/domain/ids.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { PointRecord } from '../store/points.ts'
import type { SavedVm } from './saved-vm.ts'
import { type RestoreRecords, unseenRestore } from './unseen-restore.ts'

interface Named {
  /** Empty: its own. */
  readonly newName: string
}

interface Known {
  readonly snapshot: FleetSnapshot
  readonly store: RestoreRecords
}

/** A name that people will type: `VM@POINT` is a restore point, and nobody sees a blank at an end. Throws `bad-input`. */
export function checkNewName({ newName }: Named): void {
  parseVmName(newName)
  if (newName.includes('@') || newName.trim() !== newName) {
    throw new LifeboatError(
      'bad-input',
      `'${newName}' is no name for a new VM: no '@', no blank at either end`,
    )
  }
  if (isTestVm(newName)) {
    throw new LifeboatError('bad-input', `names that begin with ${TEST_VM_PREFIX} are for boot tests`)
  }
}

/**
 * Rule 1: under its own name and id it comes back only when no blade knows that VM, running or not; a second copy
 * would be the same machine twice.
 */
export function checkName(
  request: Named,
  point: Pick<PointRecord, 'vm' | 'point'>,
  saved: Pick<SavedVm, 'id' | 'name'>,
  { snapshot, store }: Known,
): void {
  const name = request.newName === '' ? saved.name : request.newName
  const isSame = name === saved.name
  if (isSame) {
    refuseUnheard(saved, snapshot)
    refuseHalfRestored(saved, snapshot, store)
  }
  const there = snapshot.vms.find(vm => (isSame && vm.id === saved.id) || vm.name === name)
  if (there === undefined) return
  if (!isSame) {
    throw new LifeboatError(
      'refused',
      `a VM named ${name} is there already, on ${there.blade} (${there.state}): choose another --name`,
    )
  }
  const beside = `restore it beside that one: \`lifeboat backup restore ${point.vm}@${point.point} --name NAME\``
  if (there.state === 'lost') {
    throw new LifeboatError(
      'refused',
      `${there.name} was last seen on ${there.blade}, which does not report: it may run there`,
      {
        details: [
          beside,
          `\`lifeboat blade remove ${there.blade}\` says that it is gone for good, with its VMs`,
        ],
      },
    )
  }
  const stop = there.state === 'stopped' ? '' : 'stop it, then '
  throw new LifeboatError('refused', `${there.name} is on ${there.blade} (${there.state})`, {
    details: [beside, `or remove that one first: ${stop}\`virsh undefine\` on ${there.blade}`],
  })
}

/** A blade that has joined and never said what it has may have this VM (after the loss of the controller's database). */
function refuseUnheard(saved: Pick<SavedVm, 'name'>, snapshot: FleetSnapshot): void {
  const unheard = snapshot.blades.filter(blade => blade.lastReportAt === 0).map(blade => blade.name)
  if (unheard.length === 0) return
  throw new LifeboatError(
    'refused',
    `${unheard.join(', ')} has not reported yet, and may have ${saved.name}; wait for it, or \`lifeboat blade remove\` it if it is gone`,
  )
}

/** A restore of it may have ended well where nobody sees it, and have started it. */
function refuseHalfRestored(
  saved: Pick<SavedVm, 'id' | 'name'>,
  snapshot: FleetSnapshot,
  store: RestoreRecords,
): void {
  const unseen = unseenRestore(saved.id, snapshot, store)
  if (unseen === undefined) return
  throw new LifeboatError(
    'refused',
    `${saved.name} may have been restored on ${unseen.to} by operation ${unseen.id}, of which the end is not known`,
    {
      details: [
        `wait until ${unseen.to} reports, or look there: \`lifeboat alert ack\` of its alert says that you did`,
        `\`lifeboat blade remove ${unseen.to}\` says that it is gone for good, with its VMs`,
      ],
    },
  )
}
