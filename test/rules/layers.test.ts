import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type SourceFile, sourceFiles } from './source-files.ts'

const product = sourceFiles('shared', 'agent', 'controller')

function offenders(files: readonly SourceFile[], isBad: (file: SourceFile) => boolean): string[] {
  return files.filter(isBad).map(file => file.path)
}

function below(...prefixes: readonly string[]): (path: string) => boolean {
  return path => prefixes.some(prefix => path.startsWith(prefix))
}

test('the rules look at files at all', () => {
  assert.ok(product.length > 60, `only ${product.length} files found`)
  assert.ok(product.some(file => file.imports.length > 0))
})

test('agent and controller never import each other, shared imports neither, and nobody imports test', () => {
  const walls = [
    { inside: 'agent/', forbidden: below('controller/', 'test/') },
    { inside: 'controller/', forbidden: below('agent/', 'test/') },
    { inside: 'shared/', forbidden: below('agent/', 'controller/', 'test/') },
  ]
  for (const wall of walls) {
    const bad = product
      .filter(file => file.path.startsWith(wall.inside))
      .flatMap(file => file.imports.filter(wall.forbidden).map(target => `${file.path} → ${target}`))
    assert.deepEqual(bad, [])
  }
})

test('inside the controller each folder leans only on those that know less of the whole', () => {
  const walls = [
    // The CLI is a client like any other: what it knows comes over the wire.
    // One command asks nobody: it has a fleet in a file, and the deciders themselves (see the next test).
    { inside: 'controller/cli/', forbidden: /^controller\/(?!cli\/|simulate\/simulate\.ts$)/ },
    {
      inside: 'controller/simulate/',
      forbidden:
        /^controller\/(?!simulate\/|placement\/|diagnosis\/|evacuation\/(policy|brakes)|fleet\/(snapshot|health|liveness|fleet-findings)|api\/plan-view|config\.ts)/,
    },
    // Whoever moves a VM does not choose its target, nor when.
    { inside: 'controller/operations/', forbidden: /^controller\/(evacuation|api|cli|alerts)\// },
    { inside: 'controller/backup/', forbidden: /^controller\/(evacuation|alerts|api|cli)\// },
    { inside: 'controller/placement/', forbidden: /^controller\/(?!placement\/|fleet\/snapshot)/ },
    {
      inside: 'controller/capacity/',
      forbidden:
        /^controller\/(?!capacity\/|placement\/|fleet\/snapshot|backup\/(find-point|standing)|store\/points)/,
    },
    { inside: 'controller/diagnosis/', forbidden: /^controller\/(?!diagnosis\/)/ },
    { inside: 'controller/store/', forbidden: /^controller\/(operations|evacuation|alerts|api|cli)\// },
  ]
  for (const { inside, forbidden } of walls) {
    const bad = product
      .filter(file => file.path.startsWith(inside))
      .flatMap(file =>
        file.imports.filter(target => forbidden.test(target)).map(target => `${file.path} → ${target}`),
      )
    assert.deepEqual(bad, [])
  }
})

test('only the command that simulates knows the simulation', () => {
  const bad = offenders(
    product,
    file =>
      file.imports.some(below('controller/simulate/')) &&
      !below('controller/simulate/', 'controller/cli/commands/simulate.ts')(file.path),
  )
  assert.deepEqual(bad, [])
})

test('the domain types and the errors stand on nothing of ours but each other', () => {
  const bad = product
    .filter(file => below('shared/domain/', 'shared/errors.ts')(file.path))
    .flatMap(file => file.imports.filter(target => !below('shared/domain/', 'shared/errors.ts')(target)))
  assert.deepEqual(bad, [])
})

test('the types of the wire stay with those who speak to the other side', () => {
  const speakers = [
    /^shared\/wire\//,
    /^agent\/(session\/|vault\/control\/|join\.ts$|operations\/(order-desk|order-status|read-order)\.ts$)/,
    /^controller\/(api|cli|enrolment)\//,
    // It answers in the form in which the controller would.
    /^controller\/simulate\/simulate\.ts$/,
    /^controller\/backup\/(vault-client|vaults|retention|agent-settings)\.ts$/,
    /^controller\/fleet\/(intake-rpc|intake-service|sessions)\.ts$/,
    /^controller\/operations\/(orders|order-step|vm-action-saga|point-steps)\.ts$/,
    // The words of agents on an order, and of vaults on what they keep, are stored as they came.
    /^controller\/store\/(orders|points|vaults)\.ts$/,
  ]
  const bad = offenders(
    product,
    file => file.imports.some(below('proto/gen/')) && !speakers.some(pattern => pattern.test(file.path)),
  )
  assert.deepEqual(bad, [])
})

const DECIDING = [
  /^controller\/(placement|capacity|diagnosis)\//,
  /^controller\/fleet\/(liveness|health|build-snapshot|sightings|fleet-findings|measured-rates|rule-findings|fleet-wide)\.ts$/,
  /^controller\/simulate\/(?!simulate\.ts$)/,
  /^controller\/evacuation\/(policy|brakes|evacuation-words|planned-move|plan-around|left-behind|old-figures|steps-aside)\.ts$/,
  /^controller\/backup\/(policy|standing|retention|agent-settings|volumes|restore-plan|find-point|saved-vm|plan-nights|backup-findings|choose-boot-test)\.ts$/,
  /^controller\/operations\/(operation-lines|outcome|new-operations)\.ts$/,
  /^controller\/alerts\/(catalog.*|sentences|visible)\.ts$/,
  /^agent\/operations\/(orders|order-status|read-order)\.ts$/,
  /^agent\/peer\/door\.ts$/,
  /^agent\/backup\/(due|next-try|boot-signs|restore-fit|settings)\.ts$/,
  /^agent\/hypervisor\/(adapt-definition|isolate|step-aside|xml-tree)\.ts$/,
  /^agent\/storage\/(room|lvm-room|gaps|kept-names|lvm-names)\.ts$/,
  /^agent\/backup\/lvm\/(room|known-bad-kernels|names|own)\.ts$/,
  /^shared\/cron\.ts$/,
  /^agent\/vault\/store\/(retention|claims|id-filter|problems)\.ts$/,
  /^agent\/vault\/door\/protocol\.ts$/,
  /^agent\/backup\/transfer\/(changed|recent-ids|slabs|aligned|messages)\.ts$/,
  /^agent\/vault\/(format\/index|commands\/(find-point|restore-plan))\.ts$/,
  /^shared\/saga\/(replay|next-action)\.ts$/,
  /-text\.ts$/,
]

test('what decides is pure: it may not wait, log, read a clock or touch the world', () => {
  const deciding = product.filter(file => DECIDING.some(pattern => pattern.test(file.path)))
  assert.ok(deciding.length > 40, `only ${deciding.length} deciding files found`)
  const impure =
    /\bawait\b|\basync\b|Date\.now|Math\.random|\bfrom 'node:(fs|net|child_process|timers)|shared\/(log|clock|exec)|\bconsole\./
  assert.deepEqual(
    offenders(deciding, file => impure.test(withoutComments(file.text))),
    [],
  )
})

test('time and chance have one door each', () => {
  // The CLI talks to a person, in real time.
  const doors = below('shared/clock.ts', 'controller/cli/main.ts')
  const bad = offenders(
    product,
    file => !doors(file.path) && /Date\.now\(|Math\.random\(|\bnew Date\(\)/.test(withoutComments(file.text)),
  )
  assert.deepEqual(bad, [])
})

test('programs are run in one place only', () => {
  const bad = offenders(
    product,
    file => file.path !== 'shared/exec-node.ts' && /node:child_process/.test(file.text),
  )
  assert.deepEqual(bad, [])
})

test('SQL stands in the stores and the journal only', () => {
  const homes = below('controller/store/', 'shared/sqlite.ts', 'shared/saga/', 'agent/store/')
  const sql = /\b(SELECT .* FROM|INSERT INTO|DELETE FROM|CREATE TABLE|UPDATE \w+ SET)\b/
  assert.deepEqual(
    offenders(product, file => !homes(file.path) && sql.test(withoutComments(file.text))),
    [],
  )
})

test('only the entry points end the process', () => {
  const bad = offenders(product, file => /process\.exit\(/.test(withoutComments(file.text)))
  assert.deepEqual(bad, [])
})

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1')
}
