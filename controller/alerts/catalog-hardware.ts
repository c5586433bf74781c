import type { Case } from '../diagnosis/case.ts'
import type { FleetSnapshot } from '../fleet/snapshot.ts'
import type { AlertCause, AlertEntry } from './catalog.ts'
import { vmsOf, vmsSentence } from './sentences.ts'

/** Many blades at once are one matter; see controller/evacuation/brakes.ts. */
const COMMON: AlertCause = { code: 'common-cause' }

const showBlade = (each: Case) => `lifeboat blade show ${each.scopeName}`
const showPlan = (each: Case) => `lifeboat evacuate ${each.scopeName} --plan`
/** Nothing is left to plan on a blade without VMs. */
const showPlanOrBlade = (each: Case, snapshot: FleetSnapshot) =>
  vmsOf(each, snapshot).count === 0 ? showBlade(each) : showPlan(each)
const newBaseline = (each: Case) => `\`lifeboat blade set ${each.scopeName} --new-baseline\``

/** Disks, links and power: what a person repairs with his hands. */
export const HARDWARE_ALERTS = {
  'mirror-degraded': {
    title: each => `${each.scopeName}: mirror ${each.subject} has lost a disk`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on; their data has one copy left'),
    next: (each, snapshot) => {
      const repair = `eplace the disk and add it to ${each.subject} with \`mdadm --add\`.`
      return vmsOf(each, snapshot).count === 0
        ? `R${repair}`
        : `Lifeboat empties the blade after the hold time unless automation is paused or held back (\`lifeboat status\` says which). Then r${repair}`
    },
    nextCommand: showPlanOrBlade,
    dependsOn: [{ code: 'mirror-survivor-failing', sameSubject: true }, COMMON],
  },
  'mirror-survivor-failing': {
    title: each => `${each.scopeName}: last disk of mirror ${each.subject} is failing`,
    vms: (each, snapshot) =>
      vmsSentence(each, snapshot, 'are in danger: their data has one copy left, and it cannot be trusted'),
    next: (each, snapshot) =>
      vmsOf(each, snapshot).count === 0
        ? `Replace the disks of ${each.subject}.`
        : 'Lifeboat empties the blade at once unless automation is paused or held back (`lifeboat status` says which). Check that the backups are good; do not reboot the blade.',
    nextCommand: showPlanOrBlade,
    dependsOn: [COMMON],
  },
  'mirror-missing': {
    title: each => `${each.scopeName}: mirror ${each.subject} is gone`,
    vms: (each, snapshot) =>
      vmsSentence(each, snapshot, 'may have lost their disks, or the mirror only changed its name'),
    next: each => `Look at /proc/mdstat on the blade. If it is meant to be so, ${newBaseline(each)} says it.`,
    nextCommand: showBlade,
    dependsOn: [COMMON],
  },
  'bond-member-down': {
    title: each => `${each.scopeName}: bond ${each.subject} has lost a link`,
    vms: (each, snapshot) =>
      vmsSentence(each, snapshot, 'run on and can be reached over the links that are left'),
    next: () =>
      'Nothing is moved; nothing new is placed on the blade until the link is back. Check cable, switch port and switch.',
    nextCommand: showBlade,
    dependsOn: [{ code: 'bond-down', sameSubject: true }, COMMON],
  },
  'bond-down': {
    title: each => `${each.scopeName}: bond ${each.subject} has no link`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on, but nobody reaches them over this bond'),
    next: () => 'Nothing is moved. Check the switches first, then the cables.',
    nextCommand: showBlade,
    dependsOn: [COMMON],
  },
  'bond-partner-short': {
    title: each => `${each.scopeName}: the switch does not bundle all of ${each.subject}`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on; losing one more link could cut them off'),
    next: () => 'Nothing is moved. Check the LACP settings of the switch ports.',
    nextCommand: showBlade,
    dependsOn: [{ code: 'bond-member-down', sameSubject: true }, COMMON],
  },
  'bond-slow': {
    title: each => `${each.scopeName}: a link of ${each.subject} is slow`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on, with less bandwidth'),
    next: each =>
      `Nothing is moved. Check cable and port; if the speed is meant to be so, ${newBaseline(each)} says it.`,
    nextCommand: showBlade,
    dependsOn: [COMMON],
  },
  'bond-missing': {
    title: each => `${each.scopeName}: bond ${each.subject} is gone`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'may have lost their network'),
    next: each =>
      `Look at /proc/net/bonding on the blade. If it is meant to be so, ${newBaseline(each)} says it.`,
    nextCommand: showBlade,
    dependsOn: [COMMON],
  },
  'power-degraded': {
    title: each => `${each.scopeName}: power supply ${each.subject} is lost`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on; the supplies that are left carry the load'),
    next: () => 'Nothing is moved. Check its circuit and cable, then replace the supply.',
    nextCommand: () => 'lifeboat blade list',
    dependsOn: [{ code: 'power-insufficient' }],
  },
  'power-insufficient': {
    title: each => `${each.scopeName}: too few power supplies work`,
    vms: (each, snapshot) =>
      vmsSentence(each, snapshot, 'may go down without warning; moving them inside the chassis is no help'),
    next: () =>
      'Check the circuits first. Move what matters most to another chassis, or stop VMs that can wait: `lifeboat status` says where there is room.',
    nextCommand: () => 'lifeboat status',
    dependsOn: [],
  },
  'power-predictive-failure': {
    title: each => `${each.scopeName}: power supply ${each.subject} is about to fail`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on; the supply still delivers'),
    next: () => 'Nothing is moved. Replace the supply at the next opportunity.',
    nextCommand: () => 'lifeboat blade list',
    dependsOn: [],
  },
  'sensor-unreadable': {
    title: each => `${each.scopeName}: ${each.subject} cannot be read`,
    vms: (each, snapshot) =>
      vmsSentence(each, snapshot, 'are not touched: what cannot be read is unknown, not bad'),
    next: each =>
      each.scope === 'chassis'
        ? 'Nothing is moved. Check the BMC: address, password file, `lifeboat-agent check` on a blade.'
        : 'Nothing is moved; nothing new is placed on the blade until it can be read. Run `lifeboat-agent check` there.',
    nextCommand: each =>
      each.scope === 'chassis' ? `lifeboat blade show ${each.blades[0] ?? ''}` : showBlade(each),
    dependsOn: [{ code: 'blade-silent' }],
  },
} as const satisfies Record<string, AlertEntry>
