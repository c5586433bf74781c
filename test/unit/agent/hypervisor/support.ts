import { readFileSync } from 'node:fs'

/** Recorded text of virsh; test/golden/virsh/README.md says where each file comes from. */
export function golden(name: string): string {
  return readFileSync(new URL(`../../../golden/virsh/${name}`, import.meta.url), 'utf8')
}

/** The answers of a recorded batch, one by one. */
export function goldenSections(name: string): readonly string[] {
  return golden(name).split(/^lifeboat-section\n+/m)
}
