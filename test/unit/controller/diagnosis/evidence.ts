import type { Baseline, BladeEvidence } from '../../../../controller/diagnosis/case.ts'
import type {
  BondFact,
  Fact,
  MirrorFact,
  MirrorMemberState,
  PowerFact,
  PowerSupplyState,
  UnreadableFact,
} from '../../../../shared/domain/health.ts'
import { NIGHT } from '../../../fakes/fleet-builder.ts'

/** What every blade of these stories had at enrolment. */
export const BASELINE: Baseline = {
  takenAt: NIGHT - 86_400_000,
  mirrors: [{ name: 'md0', devices: ['leg0', 'leg1'] }],
  bonds: [{ name: 'bond0', nics: ['eth0', 'eth1'], speedMbps: 10_000 }],
  supplies: ['PS1', 'PS2', 'PS3', 'PS4'],
}

/** `mirror({ leg0: 'in-sync' })`; errors by device. */
export function mirror(
  members: Readonly<Record<string, MirrorMemberState>>,
  rest: Partial<MirrorFact> & { readonly errors?: Readonly<Record<string, number>> } = {},
): MirrorFact {
  const { errors = {}, ...fields } = rest
  return {
    kind: 'mirror',
    observedAt: NIGHT,
    name: 'md0',
    expectedMembers: 2,
    members: Object.entries(members).map(([device, state]) => ({
      device,
      state,
      errors: errors[device] ?? 0,
    })),
    activity: 'idle',
    progressPercent: 0,
    ...fields,
  }
}

export function bond(members: Readonly<Record<string, Partial<BondFact['members'][number]>>>): BondFact {
  return {
    kind: 'bond',
    observedAt: NIGHT,
    name: 'bond0',
    mode: '802.3ad',
    members: Object.entries(members).map(([nic, member]) => ({
      nic,
      link: 'up',
      speedMbps: 10_000,
      partner: 'ok',
      ...member,
    })),
    activeMember: '',
  }
}

/** PS1 to PS4, sound unless said otherwise. */
export function power(
  states: Readonly<Record<string, PowerSupplyState>> = {},
  observedAt = NIGHT,
): PowerFact {
  const names = [...new Set([...BASELINE.supplies, ...Object.keys(states)])].sort()
  return { kind: 'power', observedAt, supplies: names.map(name => ({ name, state: states[name] ?? 'ok' })) }
}

export function unreadable(of: UnreadableFact['of'], name = '', observedAt = NIGHT): UnreadableFact {
  return { kind: 'unreadable', observedAt, of, name, error: 'timed out' }
}

export const SOUND: readonly Fact[] = [
  mirror({ leg0: 'in-sync', leg1: 'in-sync' }),
  bond({ eth0: {}, eth1: {} }),
  power(),
]

/** Evidence of blade01 in chassis1: `facts` replace the sound ones of the same kind. */
export function evidence(facts: readonly Fact[] = [], rest: Partial<BladeEvidence> = {}): BladeEvidence {
  const kinds = new Set(facts.map(fact => (fact.kind === 'unreadable' ? fact.of : fact.kind)))
  return {
    blade: 'blade01',
    chassis: 'chassis1',
    facts: [...SOUND.filter(fact => !kinds.has(fact.kind as 'mirror')), ...facts],
    baseline: BASELINE,
    ...rest,
  }
}
