import { isOutgoingMigration, type JobInfo, parseJobInfo } from './migration.ts'
import { type Virsh, virshError } from './virsh-command.ts'
import { type DomainState, isActive, parseDomainStates } from './virsh-text.ts'

/** What libvirt says of a VM and of a migration of it, read in one go. */
export interface MigrationStanding {
  readonly state: DomainState | 'absent'
  readonly migrating: boolean
  /** The last job that ended, if libvirt still remembers it (not after its restart). */
  readonly completed: JobInfo | undefined
}

/** As many empty answers are asked about again. */
const EMPTY_ANSWERS = 3

/**
 * 'absent' when libvirt has no such VM. Throws `unavailable`. A VM that goes away after libvirt found it and before it
 * read its state leaves an answer that is empty, and no error: only the next one says that it is gone.
 */
export async function readDomainState(virsh: Virsh, id: string): Promise<DomainState | 'absent'> {
  const words = ['domstats', '--raw', '--nowait', '--state', id]
  for (let empty = 0; ; empty++) {
    const { ok, stdout, stderr } = await virsh.answer(words)
    if (ok && stdout.trim() === '' && empty < EMPTY_ANSWERS) continue
    return stateOrAbsent(ok ? stdout : '', stderr)
  }
}

/** Throws `unavailable`. */
export async function readMigrationStanding(virsh: Virsh, id: string): Promise<MigrationStanding> {
  const { sections, stderr } = await virsh.batch([
    ['domjobinfo', id, '--completed', '--keep-completed', '--rawstats'],
    ['domjobinfo', id, '--rawstats'],
    ['domstats', '--raw', '--nowait', '--state', id],
  ])
  const [completedText = '', jobText = '', states = ''] = sections
  const state = stateOrAbsent(states, stderr)
  if (state === 'absent') return { state, migrating: false, completed: undefined }
  const completed = completedText.trim() === '' ? undefined : parseJobInfo(completedText)
  if (jobText.trim() !== '') {
    return { state, migrating: isOutgoingMigration(parseJobInfo(jobText)), completed }
  }
  // A VM that is off has no job. One that executes and gives no answer may well have one: never guess that away.
  if (isActive(state)) throw virshError(['domjobinfo'], stderr)
  return { state, migrating: false, completed }
}

function stateOrAbsent(states: string, stderr: string): DomainState | 'absent' {
  const state = [...parseDomainStates(states).values()][0]
  if (state !== undefined) return state
  const error = virshError(['domstats'], stderr)
  if (error.code === 'not-found') return 'absent'
  throw error
}
