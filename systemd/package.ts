#!/usr/bin/env node
// `npm run package`: makes dist/lifeboat_<version>_amd64.deb, with the Node runtime inside. No root needed.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))
const DIST = join(ROOT, 'dist')
mkdirSync(DIST, { recursive: true })
// Of its own, so that two runs at once do not mix.
const WORK = mkdtempSync(join(DIST, '.build-'))
const STAGE = join(WORK, 'stage')
const LIB = '/usr/lib/lifeboat'

/**
 * Program → entry module, where its wrapper goes, and the flags of its runtime. An idle service allocates little and
 * rarely, so a small young generation keeps it small; the agent, one on every blade, also prefers size to speed.
 */
const PROGRAMS = {
  'lifeboat-agent': {
    entry: 'agent/main.ts',
    directory: '/usr/sbin',
    flags: '--max-semi-space-size=1 --optimize-for-size',
  },
  'lifeboat-controller': {
    entry: 'controller/main.ts',
    directory: '/usr/sbin',
    flags: '--max-semi-space-size=2',
  },
  // Service and tool of an administrator in one: the small young generation suits both, since frames are not in it, and
  // the helpers of the collector cost a tenth of its CPU, since what is collected is few and large.
  'lifeboat-vault': {
    entry: 'agent/vault/main.ts',
    directory: '/usr/bin',
    flags: '--max-semi-space-size=2 --single-threaded-gc',
  },
  lifeboat: { entry: 'controller/cli/main.ts', directory: '/usr/bin', flags: '' },
} as const

/** Processes the programs start by themselves: bundled beside them, without a wrapper. */
const WORKERS = { 'lifeboat-transfer': 'agent/backup/transfer/worker.ts' } as const

function staged(path: string): string {
  const full = join(STAGE, path)
  mkdirSync(dirname(full), { recursive: true })
  return full
}

function install(from: string, to: string, mode = 0o644): void {
  cpSync(join(ROOT, from), staged(to), { dereference: true })
  chmodSync(staged(to), mode)
}

/**
 * One file per program: the types are gone, unused code of the libraries too. Against loading the .ts files as they
 * are, that halves the start-up time and saves the memory of the type stripper. Comments and white space go as well,
 * since an idle agent keeps its own source in memory (5 MB less); names stay, so stack traces still say where.
 */
async function bundlePrograms(): Promise<void> {
  await build({
    absWorkingDir: ROOT,
    entryPoints: [
      ...Object.entries(PROGRAMS).map(([name, program]) => ({ in: program.entry, out: name })),
      ...Object.entries(WORKERS).map(([name, entry]) => ({ in: entry, out: name })),
    ],
    outdir: staged(`${LIB}/x`).slice(0, -2),
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node24',
    keepNames: true,
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    external: ['better-sqlite3'],
    // Libraries written as CommonJS call require for Node's own modules.
    banner: {
      js: "import { createRequire as __cr } from 'node:module'; const require = __cr(import.meta.url);",
    },
    logLevel: 'warning',
  })
}

function installRuntime(): void {
  install('node_modules/node/bin/node', `${LIB}/bin/node`, 0o755)
  const sqlite = 'node_modules/better-sqlite3'
  install(`${sqlite}/package.json`, `${LIB}/${sqlite}/package.json`)
  install(`${sqlite}/LICENSE`, `${LIB}/${sqlite}/LICENSE`)
  install(`${sqlite}/prebuilds/linux-x64.node`, `${LIB}/${sqlite}/prebuilds/linux-x64.node`)
  cpSync(join(ROOT, sqlite, 'lib'), staged(`${LIB}/${sqlite}/lib`), { recursive: true })
}

function installPrograms(): void {
  for (const [name, program] of Object.entries(PROGRAMS)) {
    const wrapper = staged(`${program.directory}/${name}`)
    writeFileSync(
      wrapper,
      `#!/bin/sh\nexec ${[`${LIB}/bin/node`, program.flags, `${LIB}/${name}.mjs`].filter(Boolean).join(' ')} "$@"\n`,
    )
    chmodSync(wrapper, 0o755)
  }
}

function installUnits(): void {
  for (const unit of ['lifeboat-agent.service', 'lifeboat-controller.service', 'lifeboat-vault.service']) {
    install(`systemd/${unit}`, `/usr/lib/systemd/system/${unit}`)
  }
  install('systemd/sysusers.conf', '/usr/lib/sysusers.d/lifeboat.conf')
}

/** Every README, where the links of the others look for it. */
function installDocs(): void {
  const folders = ['agent', 'controller', 'proto', 'shared', 'test']
  const paths = folders.flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter(path => basename(path) === 'README.md')
      .map(path => join(folder, path)),
  )
  for (const path of ['README.md', ...paths]) install(path, `/usr/share/doc/lifeboat/${path}`)
}

function sizeKib(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + Math.ceil(statSync(join(entry.parentPath, entry.name)).size / 1024), 0)
}

function writeControl(version: string): void {
  const control = readFileSync(join(ROOT, 'systemd/debian/control'), 'utf8')
    .replace('@VERSION@', version)
    .replace('@INSTALLED_KIB@', String(sizeKib(STAGE)))
  writeFileSync(staged('DEBIAN/control'), control)
  for (const script of ['postinst', 'prerm', 'postrm'])
    install(`systemd/debian/${script}`, `DEBIAN/${script}`, 0o755)
}

const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const target = join(DIST, `lifeboat_${version}_amd64.deb`)
try {
  await bundlePrograms()
  installRuntime()
  installPrograms()
  installUnits()
  installDocs()
  writeControl(version)
  // mkdtemp makes its folders private; what is packaged must be readable by all.
  chmodSync(STAGE, 0o755)
  const made = join(WORK, 'lifeboat.deb')
  // zstd: dpkg reads it since Debian 12; xz would take a minute for the runtime alone.
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zzstd', '-z6', '--build', STAGE, made], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  renameSync(made, target)
} finally {
  rmSync(WORK, { recursive: true, force: true })
}
console.log(target)
