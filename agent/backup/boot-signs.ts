import type { BootSign } from '../../shared/domain/backup.ts'
import type { SignsOfLife } from '../hypervisor/hypervisor.ts'

/** What the looks at a booting guest have shown so far. */
export interface SeenSigns {
  readonly lives: boolean
  readonly consoleBytes: number
  /** Looks at which the console had grown. */
  readonly growths: number
  /** For people. */
  readonly words: string
}

export const noSigns: SeenSigns = {
  lives: false,
  consoleBytes: 0,
  growths: 0,
  words: 'nothing on its console, no guest agent',
}

/**
 * A boot loader that finds no disk says so once and is silent: only a console that goes on growing is a sign. Even so
 * it is the weaker one, for a kernel that panics prints too; a guest with an agent is better asked for `guest-agent`.
 */
const GROWTHS = 3

/** One more look. Pure. */
export function seeSigns(before: SeenSigns, now: SignsOfLife, wanted: BootSign): SeenSigns {
  const growths = before.growths + (now.consoleBytes > before.consoleBytes ? 1 : 0)
  const { consoleBytes } = now
  if (now.agent && wanted !== 'console') {
    return { lives: true, consoleBytes, growths, words: 'its guest agent answers' }
  }
  if (growths >= GROWTHS && wanted !== 'guest-agent') {
    return { lives: true, consoleBytes, growths, words: `its console goes on, ${consoleBytes} bytes so far` }
  }
  const words = consoleBytes === 0 ? noSigns.words : `${consoleBytes} bytes on its console, no guest agent`
  return { lives: false, consoleBytes, growths, words }
}
