import { createCrew } from './crew.ts'
import { openToWrite } from './disk.ts'
import { createFrontier } from './frontier.ts'
import { readBack } from './read-back.ts'
import { createWriteTools, type DiskWriting, writeDisk } from './write-disk.ts'

export interface DiskRestoring extends Omit<DiskWriting, 'frontier'> {
  /** So many bytes of the disk were read back and are right. */
  readonly onChecked: (bytes: number) => void
}

/**
 * Writes one disk, makes it durable, reads all of it back and hashes it, also what was left out for reading zero.
 * Reading back follows the writing, see read-back.ts. The chunks were checked by the vault, and are not hashed before
 * they are written: reading back does it.
 * Errors: `unavailable` when the disk cannot be written or holds other bytes than were written.
 */
export async function restoreDisk(restoring: DiskRestoring): Promise<void> {
  const { job, index, threads } = restoring
  const disk = await openToWrite(job.path)
  // Of its own: when this ends, by an error or a stop too, nothing is under way with the disk any more.
  const crew = createCrew(restoring.crew.signal)
  const tools = createWriteTools(index, threads)
  try {
    await disk.makeRoom(index.sizeBytes)
    const own = { ...restoring, crew, frontier: createFrontier(crew.signal) }
    crew.run(async () => {
      await writeDisk(own, disk, tools)
      // While the rest is read back: what the disk still has to write takes no CPU, and the hashing takes little else.
      await disk.makeDurable()
    })
    crew.run(() => readBack(own, disk))
    await crew.whenDone()
  } finally {
    crew.end()
    for (const lane of tools.lanes) lane.close()
    await disk.close()
  }
}
