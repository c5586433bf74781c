/**
 * Who executed which VM, from which step to which: the witness of rule 1. All blades of a simulated chassis share
 * one, as no single blade can see a VM run twice. A guest's counter stands for its memory and its disk, so a
 * step that is lost or doubled on the way is seen here too.
 */
export interface RunSpan {
  readonly vmId: string
  readonly vm: string
  readonly blade: string
  readonly fromCount: number
  readonly fromAt: number
  /** As of the end; meaningless while the span is open. */
  readonly toCount: number
  /** 0: executes now. */
  readonly toAt: number
}

export interface ExecutionLedger {
  began(vmId: string, vm: string, blade: string, count: number, at: number): void
  ended(vmId: string, blade: string, count: number, at: number): void
  /** It was restored from a backup: the next span may begin at an earlier step. That one VM runs at most once stands. */
  setBack(vmId: string): void
  /** Oldest first. */
  spans(vmId: string): readonly RunSpan[]
  /** Blades that execute the VM now; more than one is a broken rule 1. */
  executingOn(vmId: string): readonly string[]
  /** Every broken promise so far, in words; empty is what a test wants. */
  violations(): readonly string[]
}

/** An empty ledger. */
export function createExecutionLedger(): ExecutionLedger {
  const spansByVm = new Map<string, RunSpan[]>()
  const violations: string[] = []
  const restored = new Set<string>()

  return {
    began(vmId, vm, blade, count, at) {
      const spans = spansByVm.get(vmId) ?? []
      spansByVm.set(vmId, spans)
      for (const span of spans) {
        if (span.toAt === 0) violations.push(`${vm} began on ${blade} while it ran on ${span.blade} (rule 1)`)
      }
      const last = spans.at(-1)
      const mayDiffer = restored.delete(vmId)
      if (last !== undefined && last.toAt !== 0 && count !== last.toCount && !mayDiffer) {
        const what = count < last.toCount ? 'steps are lost and will be doubled' : 'steps are skipped'
        violations.push(
          `${vm} ended on ${last.blade} at step ${last.toCount}, began on ${blade} at ${count}: ${what}`,
        )
      }
      spans.push({ vmId, vm, blade, fromCount: count, fromAt: at, toCount: count, toAt: 0 })
    },
    ended(vmId, blade, count, at) {
      const spans = spansByVm.get(vmId) ?? []
      const index = spans.findIndex(span => span.blade === blade && span.toAt === 0)
      const open = spans[index]
      if (open === undefined) {
        violations.push(`${vmId} ended on ${blade}, where it did not run`)
        return
      }
      // A span may begin and end within one millisecond; toAt 0 would leave it open at a fake epoch.
      spans[index] = { ...open, toCount: count, toAt: Math.max(at, 1) }
    },
    setBack: vmId => void restored.add(vmId),
    spans: vmId => spansByVm.get(vmId) ?? [],
    executingOn: vmId => (spansByVm.get(vmId) ?? []).filter(span => span.toAt === 0).map(span => span.blade),
    violations: () => violations,
  }
}
