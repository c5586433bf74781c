import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'

const LAB_SOURCE = join(import.meta.dirname, '..')

/** Every file that the image is made from: the build itself, what is laid over the root, the guest. */
const INPUTS = ['image/recipe.ts', 'image/build.ts', 'image/overlay', 'guest/guest.s', 'uml/uml-boot.sh']

/** Key of the image that the present sources make: equal inputs, equal key. */
export function imageKey(): string {
  const hash = createHash('sha256')
  for (const path of INPUTS.flatMap(input => filesUnder(join(LAB_SOURCE, input)))) {
    const executable = (statSync(path).mode & 0o100) !== 0
    hash
      .update(`${relative(LAB_SOURCE, path)}\0${executable}\0`)
      .update(readFileSync(path))
      .update('\0')
  }
  return hash.digest('hex').slice(0, 16)
}

function filesUnder(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path)
    .sort()
    .flatMap(name => filesUnder(join(path, name)))
}
