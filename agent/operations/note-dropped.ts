import type { OperationServices } from './services.ts'

/** A kept volume went before its grace time was over (rule 3): nobody shall look for it in vain. */
export function noteDropped(
  { kept, tell }: Pick<OperationServices, 'kept' | 'tell'>,
  path: string,
  vmName: string,
): void {
  kept.remove(path)
  tell('volume-dropped', '', `${path} was dropped before its time: ${vmName} needed its room`)
}
