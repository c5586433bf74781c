import * as z from 'zod'
import { section } from '../../shared/config.ts'
import { HOUR_MS } from '../../shared/domain/units.ts'
import { contradictions } from './contradictions.ts'
import {
  EVACUATION_CAUSES,
  EVACUATION_POLICIES,
  type EvacuationPolicy,
  FAULT_DOMAINS,
  type FaultDomain,
  GROUP_KINDS,
  type GroupKind,
  type GroupRule,
  type PlacementRules,
  type VmRule,
} from './rules.ts'

/** `[placement]` of controller.toml. */
export interface PlacementConfig {
  /** @default 4 (rule 5) */
  readonly maxVmsPerBlade: number
  readonly rules: PlacementRules
  /** A VM that was moved within it is left alone by `lifeboat rebalance`. @default 24 h */
  readonly rebalanceCooldownMs: number
}

const kinds = Object.keys(GROUP_KINDS) as [GroupKind, ...GroupKind[]]
const domains = Object.keys(FAULT_DOMAINS) as [FaultDomain, ...FaultDomain[]]
const causes: readonly string[] = Object.keys(EVACUATION_CAUSES)
const policies = Object.keys(EVACUATION_POLICIES) as EvacuationPolicy[]

/** Methods of moving that are no policy yet: asked for, they are refused with why, and not as an unknown word. */
const NOT_YET: Readonly<Record<string, string>> = {
  cold: "nothing yet stops a running VM, moves it and starts it again as one operation: between the steps its room could be taken and it would stay off; 'ask', then stop, migrate and start it by hand",
  warm: 'nothing can copy a running VM by snapshots yet',
  recover:
    'nothing can bring a VM back from a restore point by itself yet; `lifeboat backup restore` does it by hand',
}

const name = z.string().min(1)
const different = z
  .array(name)
  .refine(list => new Set(list).size === list.length, 'must not have the same name twice')
const policy = z.string().superRefine((word, context) => {
  if (policies.some(each => each === word)) return
  const why = Object.hasOwn(NOT_YET, word)
    ? `'${word}' cannot be carried out: ${NOT_YET[word]}`
    : `must be one of ${policies.join(', ')}`
  context.addIssue({ code: 'custom', message: why })
})
const byCause = z.record(z.string(), policy).superRefine((said, context) => {
  for (const cause of Object.keys(said).filter(each => !causes.includes(each))) {
    const message = `is no cause of an evacuation; those are ${causes.join(', ')}`
    context.addIssue({ code: 'custom', path: [cause], message })
  }
})

const RULE = z.strictObject({
  name,
  kind: z.enum(kinds),
  vms: different.min(2, 'must have two names or more'),
  across: z.enum(domains).optional(),
  hard: z.boolean().default(true),
})

const VM = z.strictObject({
  name,
  priority: z.int().min(-1000).max(1000).default(0),
  blades: different.default([]),
  evacuate: z.union([policy, byCause]).default({}),
})

const FILE = section({
  max_vms_per_blade: z.int().min(1).max(1000).default(4),
  vcpu_ratio: z.number().min(0).max(1000).default(8),
  snapshot_reserve_percent: z.number().min(0).max(90).default(5),
  rebalance_cooldown_h: z.number().min(0).max(8760).default(24),
  rule: z.array(RULE).default([]),
  vm: z.array(VM).default([]),
})

/** The section as the file has it: to be part of the whole schema. Every problem is told at once. */
export const PLACEMENT_SECTION = FILE.superRefine((file, context) => {
  file.rule.forEach(({ kind, across }, index) => {
    if (kind === 'apart' || across === undefined) return
    const message = "is for 'apart' only: 'together' is always one blade"
    context.addIssue({ code: 'custom', path: ['rule', index, 'across'], message })
  })
  for (const found of contradictions(rulesOf(file))) {
    const path = [found.in === 'groups' ? 'rule' : 'vm', found.index]
    context.addIssue({ code: 'custom', path, message: found.text })
  }
})

type File = z.output<typeof FILE>

/** Checked, shares instead of percent. */
export function toPlacementConfig(file: File): PlacementConfig {
  return {
    maxVmsPerBlade: file.max_vms_per_blade,
    rules: rulesOf(file),
    rebalanceCooldownMs: file.rebalance_cooldown_h * HOUR_MS,
  }
}

function rulesOf(file: File): PlacementRules {
  return {
    vcpuRatio: file.vcpu_ratio,
    snapshotReserve: file.snapshot_reserve_percent / 100,
    groups: file.rule.map(({ across = 'blade', ...rule }): GroupRule => ({ ...rule, across })),
    vms: file.vm.map(
      ({ name: vm, evacuate, ...rest }): VmRule => ({ vm, ...rest, evacuate: toPolicies(evacuate) }),
    ),
  }
}

/** One word is for every cause. The words are known by now: `policy` lets no other through. */
function toPolicies(said: File['vm'][number]['evacuate']): VmRule['evacuate'] {
  return (typeof said === 'string' ? { any: said } : said) as VmRule['evacuate']
}

/** For CONFIG_TEMPLATE: every key with its default. */
export const PLACEMENT_TEMPLATE = `[placement]
# max_vms_per_blade = 4
# vcpu_ratio = 8              # vCPUs of VMs in memory for each CPU of a blade; 0: not checked
# snapshot_reserve_percent = 5  # of each thick volume group, left free for the snapshots of backups
# rebalance_cooldown_h = 24   # a VM that was moved within it is left alone by \`lifeboat rebalance\`

# [[placement.rule]]          # VMs that must not, or must, be on one blade
#   name = "mail"
#   kind = "apart"            # or "together"
#   vms = ["mx1", "mx2"]
#   across = "chassis"        # apart in what: "blade" (the default), "chassis", "feed", "switch"
#   hard = true               # false: a wish, that gives way

# [[placement.vm]]            # what one VM has of its own
#   name = "db01"
#   priority = 10             # if not all find a place, higher ones are first; 0 otherwise
#   blades = ["blade01", "blade02"]  # only these
#   evacuate = "ask"          # an evacuation leaves it until a person asks; "stay": always; "live": it moves
#                             # or by cause: { mirror-survivor-failing = "live", any = "ask" }; "asked" is a person
`
