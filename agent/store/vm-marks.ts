import type Database from 'better-sqlite3'

/** The highest generation and epoch this blade has acted on for a VM; 0 when it never did. Never falls (rule 1). */
export interface VmMark {
  readonly generation: number
  readonly epoch: number
}

export interface VmMarks {
  of(vmId: string): VmMark
  raiseGeneration(vmId: string, generation: number): void
  /** Only when the VM really is to be known under that epoch: started, confirmed here, or released to elsewhere. */
  raiseEpoch(vmId: string, epoch: number): void
  epochs(): ReadonlyMap<string, number>
}

/** Marks in the agent's database. */
export function createVmMarks(db: Database.Database): VmMarks {
  const of = db.prepare('SELECT generation, epoch FROM vm_marks WHERE vm_id = ?')
  const raise = db.prepare(
    `INSERT INTO vm_marks (vm_id, generation, epoch) VALUES (?, ?, ?)
     ON CONFLICT (vm_id) DO UPDATE SET generation = max(generation, excluded.generation),
                                       epoch = max(epoch, excluded.epoch)`,
  )
  const epochs = db.prepare('SELECT vm_id, epoch FROM vm_marks')
  return {
    of: vmId => (of.get(vmId) as VmMark | undefined) ?? { generation: 0, epoch: 0 },
    raiseGeneration: (vmId, generation) => void raise.run(vmId, generation, 0),
    raiseEpoch: (vmId, epoch) => void raise.run(vmId, 0, epoch),
    epochs: () =>
      new Map((epochs.all() as { vm_id: string; epoch: number }[]).map(row => [row.vm_id, row.epoch])),
  }
}
