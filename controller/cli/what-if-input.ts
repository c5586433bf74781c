/** Reads what a person types after --add-vm and --add-blade. Pure. */
import type { NewBlade, NewVm, WhatIfRequest } from '../../proto/gen/lifeboat/v1/admin.ts'
import { GIB, MIB } from '../../shared/domain/units.ts'
import { LifeboatError } from '../../shared/errors.ts'

const VM_EXAMPLE = 'lifeboat what-if --add-vm mem=8G,disk=100G,vcpus=4,count=3'
const BLADE_EXAMPLE = 'lifeboat what-if --remove blade03 blade04 --add-blade like=blade01,mem=256G'
export const WHAT_IF_EXAMPLES = ['lifeboat what-if --remove blade03', VM_EXAMPLE, BLADE_EXAMPLE]

export interface WhatIfOptions {
  readonly remove: readonly string[]
  readonly addVm: readonly string[]
  readonly addBlade: readonly string[]
}

/** Throws `bad-input` with every problem and an example. */
export function readWhatIf(options: WhatIfOptions): WhatIfRequest {
  const problems: string[] = []
  const request: WhatIfRequest = {
    remove: options.remove.flatMap(names => names.split(',')).filter(name => name !== ''),
    addVms: options.addVm.map(text => readVm(new Pairs('--add-vm', text, problems))),
    addBlades: options.addBlade.map(text => readBlade(new Pairs('--add-blade', text, problems))),
  }
  if (options.remove.length + options.addVm.length + options.addBlade.length === 0) {
    problems.push('say what changes: --remove, --add-vm or --add-blade')
  }
  if (problems.length === 0) return request
  const example = problems.every(problem => problem.startsWith('--add-blade')) ? BLADE_EXAMPLE : VM_EXAMPLE
  throw new LifeboatError('bad-input', 'what-if was not understood', {
    details: [...problems, `for example: ${example}`],
  })
}

function readVm(pairs: Pairs): NewVm {
  const vm = {
    name: pairs.text('name'),
    count: pairs.whole('count') ?? 1,
    memoryBytes: pairs.needed('mem', () => pairs.size('mem')),
    vcpus: pairs.whole('vcpus') ?? 1,
    disksBytes: pairs.sizes('disk'),
    pool: pairs.text('pool'),
    networks: pairs.texts('net'),
  }
  pairs.finish(['mem', 'disk', 'vcpus', 'name', 'count', 'pool', 'net'])
  return vm
}

function readBlade(pairs: Pairs): NewBlade {
  const blade = {
    like: pairs.needed('like', () => pairs.text('like')),
    name: pairs.text('name'),
    count: pairs.whole('count') ?? 1,
    memoryBytes: pairs.size('mem'),
    // 0 on the wire: as the model. Typed, it would promise a blade that takes no VM.
    maxVms: pairs.whole('max-vms') ?? 0,
    chassis: pairs.text('chassis'),
  }
  pairs.finish(['like', 'mem', 'name', 'count', 'max-vms', 'chassis'])
  return blade
}

const UNITS: Readonly<Record<string, number>> = { M: MIB, G: GIB, T: 1024 * GIB }

/** `mem=8G,disk=100G,disk=20G`, problem by problem. */
class Pairs {
  readonly #option: string
  readonly #values = new Map<string, string[]>()
  readonly #problems: string[]

  constructor(option: string, text: string, problems: string[]) {
    this.#option = option
    this.#problems = problems
    for (const pair of text.split(',').filter(each => each !== '')) {
      const [key = '', value] = pair.split(/=(.*)/s)
      if (value === undefined || value === '') this.#complain(`'${pair}' is no key=value`)
      else this.#values.set(key, [...(this.#values.get(key) ?? []), value])
    }
  }

  #complain(problem: string): void {
    this.#problems.push(`${this.#option}: ${problem}`)
  }

  texts(key: string): string[] {
    return this.#values.get(key) ?? []
  }

  text(key: string): string {
    const values = this.texts(key)
    if (values.length > 1) this.#complain(`${key} is given ${values.length} times`)
    return values[0] ?? ''
  }

  needed<Value>(key: string, read: () => Value): Value {
    if (!this.#values.has(key)) this.#complain(`${key}= is missing`)
    return read()
  }

  /** A whole number of 1 or more; undefined when absent. */
  whole(key: string): number | undefined {
    const text = this.text(key)
    if (text === '') return undefined
    if (/^\d{1,9}$/.test(text) && Number(text) >= 1) return Number(text)
    this.#complain(`${key}=${text} must be a whole number of 1 or more`)
    return undefined
  }

  /** In bytes; 0 when absent. */
  size(key: string): number {
    const text = this.text(key)
    return text === '' ? 0 : this.#sizeOf(key, text)
  }

  sizes(key: string): number[] {
    return this.texts(key).map(text => this.#sizeOf(key, text))
  }

  #sizeOf(key: string, text: string): number {
    const [, number = '', unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)([MGT])(?:i?B)?$/.exec(text) ?? []
    const bytes = Math.round(Number(number) * (UNITS[unit] ?? 0))
    if (number !== '' && bytes > 0 && Number.isSafeInteger(bytes)) return bytes
    this.#complain(`${key}=${text} must be a size like 512M, 8G or 1.5T`)
    return 0
  }

  /** What is none of these keys is a slip. */
  finish(known: readonly string[]): void {
    for (const key of this.#values.keys()) {
      if (!known.includes(key)) this.#complain(`${key} is unknown; there are ${known.join(', ')}`)
    }
  }
}
