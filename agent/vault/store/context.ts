import type { Clock } from '../../../shared/clock.ts'
import type { Logger } from '../../../shared/log.ts'
import type { FrameChecker } from '../format/frame-checker.ts'
import type { PointRef } from '../format/point.ts'
import type { Queue } from './bounded.ts'
import type { Claims } from './claims.ts'
import type { VaultLayout } from './layout.ts'
import type { Records } from './records.ts'
import type { Unproven } from './unproven.ts'

/** What the parts of an open vault share. */
export interface StoreContext {
  readonly layout: VaultLayout
  readonly clock: Clock
  readonly log: Logger
  readonly claims: Claims
  readonly frames: FrameChecker
  /** Whoever lists, drops or quarantines waits for the others: see publish.ts, prune.ts, damage.ts. */
  readonly listing: Queue
  /** Whoever gives a chunk its name in the store, or takes it away, waits for the others. Inside of `listing`, never around it. */
  readonly naming: Queue
  readonly records: Records
  readonly unproven: Unproven
  /** Read a moment ago, or somebody has leave to: such a restore point is not dropped under its reader. Empty: neither. */
  whyInUse(ref: PointRef): string
}
