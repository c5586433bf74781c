import type { Liveness } from '../../shared/domain/fleet.ts'

export interface LivenessLimits {
  readonly suspectAfterMs: number
  readonly silentAfterMs: number
}

/**
 * Liveness of a blade by the age of its newest report, both times by the controller's clock (epoch ms; 0: never).
 * `fenced` is not decided here: it needs proof (rule 7), and time alone proves nothing.
 */
export function liveness(lastReportAt: number, now: number, limits: LivenessLimits): Liveness {
  if (lastReportAt <= 0) return 'silent'
  const ageMs = now - lastReportAt
  // A report from the future means that the clock was set back. How old it really is cannot be known, so it must not
  // pass for fresh: 'up' would let a dead blade take VMs until the clock has caught up.
  if (ageMs < 0) return 'suspect'
  if (ageMs <= limits.suspectAfterMs) return 'up'
  return ageMs <= limits.silentAfterMs ? 'suspect' : 'silent'
}
