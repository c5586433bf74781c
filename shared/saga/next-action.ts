import { lastToUndo, type SagaProgress } from './replay.ts'

/** An undo that failed so often will not succeed by itself. */
const UNDO_TRIES = 3

export type SagaAction =
  /** `isUnknown`: it started and never finished, so probe before doing it (again). */
  | { readonly kind: 'do'; readonly step: string; readonly isUnknown: boolean; readonly failures: number }
  | { readonly kind: 'undo'; readonly step: string; readonly failures: number }
  | {
      readonly kind: 'end'
      readonly state: 'done' | 'undone' | 'needs-admin'
      readonly error: string
      readonly errorCode: string
    }
  | { readonly kind: 'nothing' }

/** What is to be done now, by the journal alone. `nowAt` decides only whether a retry still has time. */
export function nextAction(progress: SagaProgress, nowAt: number, deadlineAt: number): SagaAction {
  if (progress.ended !== undefined) return { kind: 'nothing' }
  // Nobody knows whether the step of no return happened: both directions could be wrong, so a person decides.
  const lost = progress.steps.find(
    step =>
      step.shape.cannotUndoBecause !== '' && step.state === 'failed' && step.errorCode === 'needs-admin',
  )
  if (lost !== undefined) return needsAdmin(lost.error, 'needs-admin')
  return progress.isUnwinding ? nextUndo(progress) : nextStep(progress, nowAt, deadlineAt)
}

function nextStep(progress: SagaProgress, nowAt: number, deadlineAt: number): SagaAction {
  const step = progress.steps.find(({ state }) => state !== 'done')
  if (step === undefined) return { kind: 'end', state: 'done', error: '', errorCode: '' }
  const name = step.shape.name
  // A failed step is only met here behind the point of no return: before it, a failure turns the saga round.
  if (step.state === 'failed') {
    if (!step.isRetryable) return needsAdmin(step.error, step.errorCode)
    if (nowAt >= deadlineAt) {
      return needsAdmin(`the deadline passed with '${name}' not done: ${step.error}`, 'timeout')
    }
  }
  return { kind: 'do', step: name, isUnknown: step.state === 'running', failures: step.failures }
}

function nextUndo(progress: SagaProgress): SagaAction {
  const step = lastToUndo(progress.steps)
  if (step === undefined) {
    return { kind: 'end', state: 'undone', error: progress.error, errorCode: progress.errorCode }
  }
  const name = step.shape.name
  // Whether the step of no return happened decides the direction, so its outcome is learned before anything else.
  if (step.shape.cannotUndoBecause !== '' && step.state === 'running') {
    return { kind: 'do', step: name, isUnknown: true, failures: step.failures }
  }
  if (step.undoFailures >= UNDO_TRIES && step.state === 'undo-failed') {
    return needsAdmin(`step '${name}' could not be undone: ${step.error}`, 'needs-admin')
  }
  return { kind: 'undo', step: name, failures: step.undoFailures }
}

function needsAdmin(error: string, errorCode: string): SagaAction {
  return { kind: 'end', state: 'needs-admin', error, errorCode }
}
