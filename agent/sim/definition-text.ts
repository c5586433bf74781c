import type { VolumeFormat } from '../../shared/domain/fleet.ts'
import type { Reason } from '../../shared/domain/reason.ts'
import { LifeboatError } from '../../shared/errors.ts'

/** The persistent definition of a simulated VM. */
export interface SimDefinition {
  readonly id: string
  readonly name: string
  readonly memoryBytes: number
  readonly vcpus: number
  readonly volumes: readonly {
    readonly target: string
    readonly path: string
    readonly format: VolumeFormat
  }[]
  readonly networks: readonly string[]
  readonly obstacles: readonly Reason[]
  readonly machine: string
  readonly cpuModel: string
  /** For a look only: prints on a console of its own. */
  readonly isolated?: boolean
  /** Written from a backup and never started since: its guest begins again at an earlier step. */
  readonly restored?: boolean
}

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', "'": '&apos;', '"': '&quot;' } as const

/**
 * The text of `Hypervisor.definition`: domain XML with what others read in it (a controller that looks at the manifest
 * of a restore point), and all of it as JSON where libvirt keeps the metadata of programs.
 */
export function formatDefinition(definition: SimDefinition): string {
  const { id, name, machine, cpuModel, networks } = definition
  const interfaces = networks.map(network => {
    const [kind = '', source = ''] = network.split(':')
    return `<interface type='${toXml(kind)}'><source ${toXml(kind)}='${toXml(source)}'/></interface>`
  })
  return `<domain type='sim'>
  <name>${toXml(name)}</name>
  <uuid>${toXml(id)}</uuid>
  <os><type machine='${toXml(machine)}'>hvm</type></os>
  <cpu mode='custom'><model>${toXml(cpuModel)}</model></cpu>
  <devices>${interfaces.join('')}</devices>
  <metadata><sim>${toXml(JSON.stringify(definition))}</sim></metadata>
</domain>
`
}

/** Throws `bad-input` for text that is no definition of ours. */
export function parseDefinition(text: string): SimDefinition {
  const definition = readJson(/<sim>([^<]*)<\/sim>/.exec(text)?.[1])
  if (
    typeof definition?.id !== 'string' ||
    typeof definition.name !== 'string' ||
    !Array.isArray(definition.volumes)
  ) {
    throw new LifeboatError('bad-input', 'the VM definition lacks id, name or volumes')
  }
  return definition
}

function readJson(escaped: string | undefined): SimDefinition | undefined {
  if (escaped === undefined) return undefined
  try {
    return JSON.parse(fromXml(escaped)) as SimDefinition
  } catch (error) {
    throw new LifeboatError('bad-input', 'the VM definition is damaged', { cause: error })
  }
}

function toXml(text: string): string {
  return text.replaceAll(/[&<>'"]/g, found => ESCAPES[found as keyof typeof ESCAPES])
}

function fromXml(text: string): string {
  const plain = Object.fromEntries(Object.entries(ESCAPES).map(([character, entity]) => [entity, character]))
  return text.replaceAll(/&[a-z]+;/g, entity => plain[entity] ?? entity)
}
