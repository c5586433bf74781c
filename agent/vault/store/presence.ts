import { existsSync } from 'node:fs'
import { eachBounded } from './bounded.ts'
import { fileExists } from './files.ts'

const LOOKS_AT_ONCE = 16
/** Looked for in one go before others get their turn. */
const BURST = 64
/** A burst that took longer waited for the disk. */
const SLOW_MS = 5

/**
 * Acts on each item whose file is not there. A look at a name the kernel has in memory takes 3 us; sent through the
 * thread pool it takes 12, and a second night with thin help looks for every chunk of a disk twice. So the looks are
 * taken here and now for as long as they are quick, and through the pool once the disk must be waited for.
 */
export async function eachAbsent<Item>(
  items: Iterable<Item>,
  pathOf: (item: Item) => string,
  act: (item: Item) => void,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  for (let isQuick = true; isQuick; ) {
    const startedAt = performance.now()
    for (let count = 0; count < BURST; count++) {
      const next = rest.next()
      if (next.done) return
      if (!existsSync(pathOf(next.value))) act(next.value)
    }
    isQuick = performance.now() - startedAt < SLOW_MS
    await new Promise(resolve => setImmediate(resolve))
  }
  await eachBounded({ [Symbol.iterator]: () => rest }, LOOKS_AT_ONCE, async item => {
    if (!(await fileExists(pathOf(item)))) act(item)
  })
}
