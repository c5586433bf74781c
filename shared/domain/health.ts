/** What a probe read. Unreadable is a fact of its own: it is never the same as bad (rule 9). */

export type MirrorMemberState = 'in-sync' | 'faulty' | 'missing' | 'rebuilding' | 'spare'
export interface MirrorFact {
  readonly kind: 'mirror'
  readonly observedAt: number
  /** md0 */
  readonly name: string
  /** raid_disks of the array. */
  readonly expectedMembers: number
  readonly members: readonly { device: string; state: MirrorMemberState; errors: number }[]
  /** sync_action: idle, check, repair, resync, recover … */
  readonly activity: string
  /** Of the activity; 0 when idle. */
  readonly progressPercent: number
}

export interface BondFact {
  readonly kind: 'bond'
  readonly observedAt: number
  readonly name: string
  readonly mode: string
  /** `partner`: 802.3ad only — ok, or short when the switch bundles fewer ports; none in other modes. */
  readonly members: readonly {
    nic: string
    link: 'up' | 'down'
    speedMbps: number
    partner: 'ok' | 'short' | 'none'
  }[]
  readonly activeMember: string
}

export type PowerSupplyState = 'ok' | 'failed' | 'ac-lost' | 'predictive-failure' | 'absent'
export interface PowerFact {
  readonly kind: 'power'
  readonly observedAt: number
  readonly supplies: readonly { name: string; state: PowerSupplyState }[]
}

export type ProbeSubject = 'mirror' | 'bond' | 'power'
export interface UnreadableFact {
  readonly kind: 'unreadable'
  readonly observedAt: number
  readonly of: ProbeSubject
  /** md0; empty when not even the list can be read. */
  readonly name: string
  readonly error: string
}

export type Fact = MirrorFact | BondFact | PowerFact | UnreadableFact
