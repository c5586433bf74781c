import type * as wire from '../../proto/gen/lifeboat/v1/types.ts'
import type { Fact, MirrorMemberState, PowerSupplyState, ProbeSubject } from '../domain/health.ts'
import type { FieldReader } from './reader.ts'

const MEMBER_STATES: readonly MirrorMemberState[] = ['in-sync', 'faulty', 'missing', 'rebuilding', 'spare']
const SUPPLY_STATES: readonly PowerSupplyState[] = ['ok', 'failed', 'ac-lost', 'predictive-failure', 'absent']
const PROBE_SUBJECTS: readonly ProbeSubject[] = ['mirror', 'bond', 'power']
const LINK_STATES = ['up', 'down'] as const
const PARTNER_STATES = ['ok', 'short', 'none'] as const

/** A fact as it is told to the controller and, by the controller, to the CLI. */
export function factToWire(fact: Fact): wire.Fact {
  return { observedAt: fact.observedAt, kind: kindToWire(fact) }
}

function kindToWire(fact: Fact): NonNullable<wire.Fact['kind']> {
  switch (fact.kind) {
    case 'mirror':
      return {
        $case: 'mirror',
        value: {
          name: fact.name,
          expectedMembers: fact.expectedMembers,
          members: fact.members.map(member => ({ ...member })),
          activity: fact.activity,
          progressPercent: fact.progressPercent,
        },
      }
    case 'bond':
      return {
        $case: 'bond',
        value: {
          name: fact.name,
          mode: fact.mode,
          members: fact.members.map(member => ({ ...member })),
          activeMember: fact.activeMember,
        },
      }
    case 'power':
      return { $case: 'power', value: { supplies: fact.supplies.map(supply => ({ ...supply })) } }
    case 'unreadable':
      return { $case: 'unreadable', value: { of: fact.of, name: fact.name, error: fact.error } }
  }
}

/** Reads one fact; problems go to the reader, and what cannot be read is handed out as an unreadable mirror. */
export function readFact(reader: FieldReader, where: string, fact: wire.Fact): Fact {
  const observedAt = reader.whole(`${where}.observedAt`, fact.observedAt)
  switch (fact.kind?.$case) {
    case 'mirror':
      return readMirror(reader, where, observedAt, fact.kind.value)
    case 'bond':
      return readBond(reader, where, observedAt, fact.kind.value)
    case 'power': {
      const supplies = reader.each(`${where}.supplies`, fact.kind.value.supplies, (_, at, supply) => ({
        name: reader.text(`${at}.name`, supply.name),
        state: reader.oneOf(`${at}.state`, supply.state, SUPPLY_STATES),
      }))
      return { kind: 'power', observedAt, supplies }
    }
    case 'unreadable': {
      const { of, name, error } = fact.kind.value
      return {
        kind: 'unreadable',
        observedAt,
        of: reader.oneOf(`${where}.of`, of, PROBE_SUBJECTS),
        name,
        error,
      }
    }
    case undefined:
      reader.problem(where, 'is of no known kind')
      return { kind: 'unreadable', observedAt, of: 'mirror', name: '', error: '' }
  }
}

function readMirror(reader: FieldReader, where: string, observedAt: number, mirror: wire.MirrorFact): Fact {
  return {
    kind: 'mirror',
    observedAt,
    name: reader.text(`${where}.name`, mirror.name),
    expectedMembers: reader.whole(`${where}.expectedMembers`, mirror.expectedMembers),
    members: reader.each(`${where}.members`, mirror.members, (_, at, member) => ({
      // Empty for a missing member: there is no device to name.
      device: member.device,
      state: reader.oneOf(`${at}.state`, member.state, MEMBER_STATES),
      errors: reader.whole(`${at}.errors`, member.errors),
    })),
    activity: reader.text(`${where}.activity`, mirror.activity),
    progressPercent: reader.number(`${where}.progressPercent`, mirror.progressPercent, 100),
  }
}

function readBond(reader: FieldReader, where: string, observedAt: number, bond: wire.BondFact): Fact {
  return {
    kind: 'bond',
    observedAt,
    name: reader.text(`${where}.name`, bond.name),
    mode: bond.mode,
    members: reader.each(`${where}.members`, bond.members, (_, at, member) => ({
      nic: reader.text(`${at}.nic`, member.nic),
      link: reader.oneOf(`${at}.link`, member.link, LINK_STATES),
      speedMbps: reader.whole(`${at}.speedMbps`, member.speedMbps),
      partner: reader.oneOf(`${at}.partner`, member.partner, PARTNER_STATES),
    })),
    activeMember: bond.activeMember,
  }
}
