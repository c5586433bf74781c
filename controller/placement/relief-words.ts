/** What would help, in words: with what to type, wherever it is something to type. */

/** Blades that a person took out of service. */
export function uncordonText(names: readonly [string, ...string[]]): string {
  return `put ${anyOf(names)} back into service: \`lifeboat blade uncordon ${names[0]}\``
}

/** `limit`: the present one of the first of them. */
export function oneMoreVmText(names: readonly [string, ...string[]], limit: number): string {
  return `a VM limit higher by one on ${anyOf(names)}: \`lifeboat blade set ${names[0]} --max-vms ${limit + 1}\``
}

/** `limits`: the different ones of all blades. */
export function moreVmsText(amount: number, limits: readonly number[]): string {
  const [limit, ...others] = limits
  if (limit === undefined || others.length > 0)
    return `a VM limit higher by ${amount} on every blade: \`lifeboat blade set BLADE --max-vms N\``
  const next = limit + amount
  return `a VM limit of ${next} instead of ${limit} on every blade: \`lifeboat blade set BLADE --max-vms ${next}\``
}

export function liftRuleText({
  name,
  kind,
  vms,
}: {
  readonly name: string
  readonly kind: string
  readonly vms: readonly string[]
}): string {
  return `lift the rule '${name}' (${kind}: ${vms.join(', ')}) in controller.toml`
}

export function unpinText({
  vm,
  blades,
}: {
  readonly vm: string
  readonly blades: readonly string[]
}): string {
  return `let ${vm} run on other blades than ${blades.join(', ')} in controller.toml`
}

/** `blade04`, `any of blade04, blade05` */
export function anyOf(names: readonly string[]): string {
  return names.length === 1 ? (names[0] ?? '') : `any of ${names.join(', ')}`
}
