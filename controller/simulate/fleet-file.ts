import type * as z from 'zod'
import { LifeboatError } from '../../shared/errors.ts'
import { issueWords } from '../../shared/issue-words.ts'
import { type ControllerConfig, checkControllerConfig } from '../config.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import { DEFAULT_RATES } from '../placement/times.ts'
import { checkFleet } from './fleet-checks.ts'
import { type FileEvent, FLEET_FILE, type FleetFile } from './fleet-schema.ts'
import { toBlade, toVm } from './fleet-views.ts'
import { clip, Problems } from './problems.ts'
import { byName, START } from './quiet-fleet.ts'
import type { Scenario, ScenarioEvent } from './scenario.ts'

/**
 * A fleet file (README.md) as a scenario. Throws `bad-input` with every problem by the path of its field: those of the
 * form first, and when the form is right those of the sense.
 */
export function readFleet(text: string): Scenario {
  const raw = withDefaults(parseJson(text))
  const problems = new Problems()
  const parsed = FLEET_FILE.safeParse(raw)
  const checkedConfig = checkControllerConfig((isObject(raw) ? raw.config : undefined) ?? {})
  for (const issue of parsed.error?.issues ?? []) addIssue(problems, [], issue)
  for (const issue of checkedConfig.error?.issues ?? []) addIssue(problems, ['config'], issue)
  problems.throwIfAny('the fleet file')
  const file = parsed.data as FleetFile
  const config = checkedConfig.data as ControllerConfig
  checkFleet(file, config, problems)
  problems.throwIfAny('the fleet file')
  return toScenario(file, config)
}

function addIssue(problems: Problems, prefix: readonly string[], issue: z.core.$ZodIssue): void {
  const path = [...prefix, ...issue.path.map(String)]
  const at = path.length === 0 ? 'whole file' : clip(path.join('.'))
  if (issue.code !== 'unrecognized_keys') problems.add(at, issueWords(issue.message))
  else for (const key of issue.keys) problems.add(at, `'${clip(key)}' is no key that is known here`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A bar in its first line, and it may well be Ganeti's.
    const hint = text.split('\n', 1)[0]?.includes('|')
      ? ["whole file: the text of Ganeti's htools is read with --format ganeti"]
      : []
    const details = [whereBroken(text), ...hint]
    throw new LifeboatError('bad-input', 'the fleet file cannot be used', { details })
  }
}

interface JsonError {
  /** Where V8 sees it; it says so only of some. */
  readonly position: number | undefined
  /** Whatever is wrong may still come right with more text. */
  readonly isAtEnd: boolean
}

function jsonError(text: string): JsonError {
  try {
    JSON.parse(text)
    return { position: undefined, isAtEnd: true }
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const found = /at position (\d+)/.exec(message)?.[1]
    const position = found === undefined ? undefined : Number(found)
    return { position, isAtEnd: /end of JSON/.test(message) || position === text.length }
  }
}

/** The first line that is wrong whatever follows it. */
function whereBroken(text: string): string {
  const lines = text.split('\n')
  const upTo = (count: number) => lines.slice(0, count).join('\n')
  let [good, broken] = [0, lines.length]
  if (jsonError(text).isAtEnd) return `line ${broken}: is no JSON: it ends too early`
  while (broken - good > 1) {
    const middle = Math.floor((good + broken) / 2)
    if (jsonError(upTo(middle)).isAtEnd) good = middle
    else broken = middle
  }
  const { position } = jsonError(upTo(broken))
  return `line ${position === undefined ? broken : text.slice(0, position).split('\n').length}: is no JSON`
}

/** What `defaults` says of every blade and VM goes under what each says itself, key by key. */
function withDefaults(raw: unknown): unknown {
  if (!isObject(raw) || !isObject(raw.defaults)) return raw
  const { blade, vm } = raw.defaults
  const under = (defaults: unknown, each: unknown) =>
    isObject(defaults) && isObject(each) ? { ...defaults, ...each } : each
  const all = (list: unknown, change: (each: unknown) => unknown) =>
    Array.isArray(list) ? list.map(change) : list
  return {
    ...raw,
    blades: all(raw.blades, each => under(blade, each)),
    ...(raw.vms === undefined ? {} : { vms: all(raw.vms, each => under(vm, each)) }),
    ...(raw.events === undefined
      ? {}
      : {
          events: all(raw.events, each =>
            isObject(each) && isObject(each.vm) ? { ...each, vm: under(vm, each.vm) } : each,
          ),
        }),
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function toScenario(file: FleetFile, config: ControllerConfig): Scenario {
  const startAt = file.startsAt === undefined ? START : Date.parse(file.startsAt)
  const { copyMbPerSecond, restoreMbPerSecond } = file.rates
  const perBlade = Map.groupBy(file.vms, vm => vm.blade)
  const fleet: FleetSnapshot = {
    generation: 1,
    takenAt: startAt,
    blades: file.blades
      .map(blade => toBlade(blade, perBlade.get(blade.name) ?? [], config.placement.maxVmsPerBlade, startAt))
      .sort(byName),
    vms: file.vms.map(vm => toVm(vm, vm.blade, startAt)).sort(byName),
    rules: config.placement.rules,
    rates: {
      ...DEFAULT_RATES,
      ...(copyMbPerSecond === undefined ? {} : { copyBytesPerSecond: copyMbPerSecond * 1e6 }),
      ...(restoreMbPerSecond === undefined ? {} : { restoreBytesPerSecond: restoreMbPerSecond * 1e6 }),
    },
  }
  const events = file.events.map(event => toEvent(event, startAt)).sort((a, b) => a.atMs - b.atMs)
  return { story: file.story, fleet, config, events }
}

function toEvent(event: FileEvent, startAt: number): ScenarioEvent {
  const atMs = Math.round(event.atSeconds * 1000)
  switch (event.what) {
    case 'chassis-lost':
    case 'chassis-back':
      return { atMs, what: event.what, domain: 'chassis', name: event.chassis }
    case 'feed-lost':
    case 'feed-back':
      return { atMs, what: event.what, domain: 'feed', name: event.feed }
    case 'switch-lost':
    case 'switch-back':
      return { atMs, what: event.what, domain: 'switch', name: event.switch }
    case 'vm-added':
      return { atMs, what: event.what, vm: toVm(event.vm, '', startAt + atMs) }
    case 'vm-removed':
    case 'vm-stopped':
    case 'vm-started':
      return { atMs, what: event.what, vm: event.vm }
    case 'automation-paused':
    case 'automation-resumed':
      return { atMs, what: event.what }
    default:
      return { atMs, what: event.what, blade: event.blade }
  }
}
