import type { AlertEntry } from './catalog.ts'
import { vmsSentence } from './sentences.ts'

/** The fleet, its VMs and Lifeboat's own work. The subject is the VM, the operation or the version. */
export const SERVICE_ALERTS = {
  'blade-silent': {
    title: each => `${each.scopeName}: does not report`,
    vms: (each, snapshot) =>
      vmsSentence(
        each,
        snapshot,
        'may still run there: they are not started elsewhere without proof that they do not',
      ),
    next: () => 'Look at its console and network; if it is up, at `systemctl status lifeboat-agent` there.',
    nextCommand: each => `lifeboat blade show ${each.scopeName}`,
    dependsOn: [{ code: 'common-cause' }, { code: 'power-insufficient' }],
  },
  'common-cause': {
    title: each =>
      each.subject === ''
        ? 'many blades look bad at once'
        : `many blades look bad at once: suspect ${each.subject}`,
    vms: (each, snapshot) =>
      vmsSentence(each, snapshot, 'stay where they are: no blade is emptied by itself meanwhile'),
    next: () =>
      'Find what these blades share: circuit, switch, chassis, a recent update, or the network of the controller. A blade that must be emptied all the same is emptied with `lifeboat evacuate BLADE`.',
    nextCommand: () => 'lifeboat blade list',
    dependsOn: [],
  },
  'vm-runs-twice': {
    title: each => `${each.subject}: runs on two blades`,
    vms: () => 'Two copies of one VM damage each other’s data and connections.',
    next: each =>
      `Find out which copy is the right one and stop the other with \`virsh destroy\` on its blade; \`lifeboat why ${each.subject}\` tells how it came there.`,
    nextCommand: each => `lifeboat vm show ${each.subject}`,
    dependsOn: [],
  },
  'vm-name-ambiguous': {
    title: each => `${each.subject}: two VMs have this name`,
    vms: () =>
      'The VMs of that name go on as they are; commands by that name are refused, and none moves to a blade that has another.',
    next: () => 'Rename one with `virsh domrename` while it is off, or use the UUID.',
    nextCommand: () => 'lifeboat vm list',
    dependsOn: [],
  },
  'evacuation-incomplete': {
    title: each => `${each.scopeName}: could not be emptied completely`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'are still there, not tried again by themselves'),
    next: ({ scopeName }) =>
      `The plan says for each why it stayed: remove the obstacle, then evacuate again. It is over by itself when they have left ${scopeName}, or when that is in service and healthy again.`,
    nextCommand: each => `lifeboat evacuate ${each.scopeName} --plan`,
    dependsOn: [],
  },
  'operation-needs-admin': {
    title: each => `${each.subject}: ended half way`,
    vms: () => 'Its VM is left as the operation describes it.',
    next: () =>
      'The operation says what it did, why it stopped, and what to type. Nothing else can tell when that is done: `lifeboat alert ack` of this alert does, and ends it.',
    nextCommand: each => `lifeboat operation show ${each.subject}`,
    dependsOn: [],
  },
  'n-plus-one-lost': {
    title: () => 'the fleet could not lose just any blade',
    vms: () =>
      'All VMs run on; only should such a blade fail would some of its VMs have no place to come back to.',
    next: () =>
      '`lifeboat capacity` shows it blade by blade, `lifeboat rebalance --plan` whether moving VMs helps, `lifeboat what-if` what a change would do.',
    nextCommand: () => 'lifeboat capacity',
    dependsOn: [{ code: 'common-cause' }],
  },
  'rule-not-kept': {
    title: each => `${each.subject}: not placed as its rule wants it`,
    vms: () => 'All VMs run on; none is moved for a rule alone.',
    next: () =>
      'Move one of them with `lifeboat vm migrate VM --to BLADE`, or change the rule in controller.toml.',
    nextCommand: () => 'lifeboat vm list',
    dependsOn: [{ code: 'common-cause' }],
  },
  'rule-name-unknown': {
    title: () => 'placement rules name what is not in the fleet',
    vms: () => 'All VMs run on; a rule about a name that nothing bears does nothing.',
    next: () =>
      'Correct the names in [placement] of controller.toml, or drop the rules of VMs that are gone.',
    nextCommand: () => 'lifeboat vm list',
    dependsOn: [],
  },
  'agent-version': {
    title: each => `${each.scopeName}: its agent does not fit this controller`,
    vms: (each, snapshot) => vmsSentence(each, snapshot, 'run on unwatched'),
    next: () => 'Upgrade the controller first, then the agents.',
    nextCommand: each => `lifeboat blade show ${each.scopeName}`,
    dependsOn: [],
  },
} as const satisfies Record<string, AlertEntry>
