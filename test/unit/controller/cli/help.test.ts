import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Command, CommanderError } from 'commander'
import type { CliContext } from '../../../../controller/cli/context.ts'
import { createProgram } from '../../../../controller/cli/program.ts'
import { ROOT } from '../../../rules/source-files.ts'

class Asked extends Error {}

/** Up to the first question to a controller: whatever is wrong with what was typed is found before. */
function programThatAsks(): Command {
  const ask = () => {
    throw new Asked()
  }
  const quiet = { print: () => {}, note: () => {}, progress: () => {}, exitWith: () => {} }
  const context = {
    ...quiet,
    admin: ask,
    begin: ask,
    now: () => 0,
    env: {},
    json: () => false,
    alarming: (text: string) => text,
  }
  return createProgram(context as unknown as CliContext)
}

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)]
}

/** What is printed by --help, all of it. */
function helpOf(command: Command): string {
  const lines: string[] = []
  command.configureOutput({ writeOut: text => void lines.push(text) })
  command.outputHelp()
  return lines.join('')
}

/** The commands of a help that are there to be typed: one a line, indented. */
function examplesOf(help: string): string[] {
  return [...help.matchAll(/^ {2}(lifeboat .+)$/gm)].map(match => match[1] ?? '')
}

function wordsOf(example: string): string[] {
  return [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
}

const commands = commandsOf(programThatAsks())
const leaves = commands.filter(command => command.commands.length === 0)

test('every command has an example in its help, and every example begins with a command that is there', () => {
  assert.ok(leaves.length > 40, `only ${leaves.length} commands`)
  const without = leaves.filter(command => examplesOf(helpOf(command)).length === 0)
  assert.deepEqual(
    without.map(command => command.name()),
    [],
  )
})

test('no line of a help is wider than 100 columns', () => {
  const wide = commands.flatMap(command =>
    helpOf(command)
      .split('\n')
      .filter(line => line.length > 100),
  )
  assert.deepEqual(wide, [])
})

/** These ask no controller: a file, and a simulated chassis that may well run beside the tests. */
const ASKS_NO_CONTROLLER = /^lifeboat (simulate|sim|--help)\b/

/** Those of them that are not understood, with the reason. */
async function misunderstood(examples: Iterable<string>): Promise<string[]> {
  const found: string[] = []
  for (const example of new Set(examples)) {
    if (ASKS_NO_CONTROLLER.test(example)) continue
    try {
      const program = programThatAsks()
      for (const command of commandsOf(program))
        command.configureOutput({ writeErr: () => {}, writeOut: () => {} })
      await program.parseAsync(['node', ...wordsOf(example)])
      found.push(`${example}: asks nothing`)
    } catch (error) {
      const isHelp = error instanceof CommanderError && error.exitCode === 0
      if (error instanceof Asked || isHelp) continue
      found.push(`${example}: ${error}`)
    }
  }
  return found
}

test('every example of every help is understood as it stands', async () => {
  const examples = commands.flatMap(command => examplesOf(helpOf(command)))
  assert.ok(examples.length > 60, `only ${examples.length} examples`)
  assert.deepEqual(await misunderstood(examples), [])
})

test('every command of the README is understood as it stands', async () => {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const typed = [...readme.matchAll(/^(?:npx )?(lifeboat .+?)(?: {2,}#.*| +#.*)?$/gm)]
  // In a sentence; what ends in … is told to be longer.
  const said = [...readme.replaceAll(/\s+/g, ' ').matchAll(/`(lifeboat [^`…]+)`/g)]
  assert.ok(typed.length > 25 && said.length > 25, `${typed.length} and ${said.length}`)
  assert.deepEqual(await misunderstood([...typed, ...said].map(match => (match[1] ?? '').trim())), [])
})
