import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSimBlade, type SimBlade, type SimBladeOptions } from '../../agent/sim/blade.ts'
import { createSimChassis, type SimChassis } from '../../agent/sim/chassis.ts'
import { type Clock, systemClock } from '../../shared/clock.ts'

/** A chassis of simulated blades in a directory of its own; `close` removes it. */
export interface SimWorld {
  readonly dir: string
  readonly chassis: SimChassis
  blade(name: string, options?: Partial<SimBladeOptions>): Promise<SimBlade>
  close(): Promise<void>
}

/** The directory's name is short because UNIX sockets lie below it. */
export function createSimWorld(clock: Clock = systemClock): SimWorld {
  const dir = mkdtempSync(join(tmpdir(), 'lb-'))
  const chassis = createSimChassis({ name: 'chassis1' })
  const blades: SimBlade[] = []
  return {
    dir,
    chassis,
    async blade(name, options = {}) {
      const blade = await createSimBlade({
        name,
        dir: join(dir, name),
        clock,
        chassis,
        ...options,
      })
      blades.push(blade)
      return blade
    },
    async close() {
      for (const blade of blades) await blade.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
