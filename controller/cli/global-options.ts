import { Command, Help, Option } from 'commander'
import { VERSION } from '../../shared/version.ts'

/** Options of every command. */
export interface GlobalOptions {
  readonly output: 'table' | 'json'
  readonly socket?: string
  readonly controller?: string
  readonly identity?: string
}

/** The program without a command. */
export function newProgram(): Command {
  return new Command('lifeboat')
    .description('Keeps the VMs of a small blade fleet alive.')
    .version(VERSION)
    .addOption(
      new Option('-o, --output <format>', 'table for people, json for programs')
        .choices(['table', 'json'])
        .default('table'),
    )
    .option('--socket <path>', 'the admin socket of the controller (else $LIFEBOAT_SOCKET)')
    .option('--controller <host[:port]>', 'a controller elsewhere (else $LIFEBOAT_CONTROLLER)')
    .option(
      '--identity <directory>',
      'certificate.pem, key.pem, authority.pem of role admin (else $LIFEBOAT_IDENTITY)',
    )
}

/** Children do not inherit these settings from their parent. `path` is what a person types up to here. */
export function prepare(command: Command, path: string): void {
  command
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, optionDescription })
    .showHelpAfterError(`(${path} --help shows what there is)`)
  for (const child of command.commands) prepare(child, `${path} ${child.name()}`)
}

/** Was JSON asked for? Needed before anything is parsed: what cannot be parsed is told as JSON too. */
export function asksForJson(argv: readonly string[]): boolean {
  return argv.some(
    (word, at) =>
      /^(--output=|-o=?)json$/.test(word) || (word === 'json' && /^(--output|-o)$/.test(argv[at - 1] ?? '')),
  )
}

/** Commander itself says nothing of a mistake. */
export function silence(command: Command): void {
  command.configureOutput({ writeErr: () => {} })
  for (const child of command.commands) silence(child)
}

/** Commander's text, without a default that means "not given". */
function optionDescription(option: Option): string {
  const isEmpty = ['', 0, '[]'].includes(Array.isArray(option.defaultValue) ? '[]' : option.defaultValue)
  return isEmpty ? option.description : new Help().optionDescription(option)
}
