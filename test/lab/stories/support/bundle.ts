import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { SHARE_DIR } from '../../place.ts'

/** The Node that the package brings. */
export const NODE_ON_BLADES = '/usr/lib/lifeboat/bin/node'

/** Puts `on-blade-NAME.ts` of this folder where every host finds it: `/run/lab-share/on-blade-NAME.mjs`. */
export async function bundleForBlades(names: readonly string[]): Promise<void> {
  mkdirSync(SHARE_DIR, { recursive: true })
  await build({
    entryPoints: names.map(name => join(import.meta.dirname, `on-blade-${name}.ts`)),
    outdir: SHARE_DIR,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    banner: {
      js: "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);",
    },
    logLevel: 'warning',
  })
}
