import { LifeboatError } from '../../shared/errors.ts'
import type { SimChassis, SimSupplyState } from './chassis.ts'
import type { SimHardware } from './host-files.ts'

/** What `lifeboat sim fail BLADE …` can break, with what happens. The lab knows the same words. */
export const SIM_FAULTS = {
  mirror: 'one disk of md0 fails',
  'disk-errors': 'one disk of md0 fails and the other shows read errors',
  'mirror-unreadable': 'the kernel gives no answer about md0',
  'nic-a': 'the first link of bond0 loses its carrier',
  'nic-b': 'the second link of bond0 loses its carrier',
  psu: 'power supply 1 of the chassis fails',
  'psu-1': 'power supply 1 of the chassis fails',
  'psu-2': 'power supply 2 of the chassis fails',
  'psu-3': 'power supply 3 of the chassis fails',
  'psu-4': 'power supply 4 of the chassis fails',
  bmc: 'the BMC of the blade does not answer',
  'psu-unreadable': 'the BMCs give no reading of power supply 1',
} as const
export type SimFault = keyof typeof SIM_FAULTS

/** Throws `bad-input` that lists the faults there are. */
export function parseSimFault(text: string): SimFault {
  if (!Object.hasOwn(SIM_FAULTS, text)) {
    throw new LifeboatError(
      'bad-input',
      `no fault '${text}'; there are ${Object.keys(SIM_FAULTS).join(', ')}`,
    )
  }
  return text as SimFault
}

function setLink(hardware: SimHardware, index: number, link: boolean): void {
  const nic = hardware.nics[index]
  if (nic !== undefined) nic.link = link
}

/** The second half fails, the first one survives. */
function setMirror(hardware: SimHardware, broken: boolean, survivorErrors: number): void {
  const [survivor, lost] = hardware.mirror
  if (survivor !== undefined) survivor.errors = survivorErrors
  if (lost !== undefined) lost.state = broken ? 'faulty' : 'in_sync'
}

type Effect = (broken: boolean, hardware: SimHardware, chassis: SimChassis) => void

function supply(name: string, state: SimSupplyState): Effect {
  return (broken, _hardware, chassis) => chassis.setSupply(name, broken ? state : 'ok')
}

const EFFECTS: Readonly<Record<SimFault, Effect>> = {
  mirror: (broken, hardware) => setMirror(hardware, broken, 0),
  'disk-errors': (broken, hardware) => setMirror(hardware, broken, broken ? 12 : 0),
  'mirror-unreadable': (broken, hardware) => {
    hardware.mirrorUnreadable = broken
  },
  'nic-a': (broken, hardware) => setLink(hardware, 0, !broken),
  'nic-b': (broken, hardware) => setLink(hardware, 1, !broken),
  psu: supply('PS1', 'failed'),
  'psu-1': supply('PS1', 'failed'),
  'psu-2': supply('PS2', 'failed'),
  'psu-3': supply('PS3', 'failed'),
  'psu-4': supply('PS4', 'failed'),
  bmc: (broken, hardware) => {
    hardware.bmcSilent = broken
  },
  'psu-unreadable': supply('PS1', 'unreadable'),
}

/** Breaks (`broken`) or mends one thing of a blade or its chassis. Doing it twice changes nothing. */
export function applyFault(
  fault: SimFault,
  broken: boolean,
  hardware: SimHardware,
  chassis: SimChassis,
): void {
  EFFECTS[fault](broken, hardware, chassis)
}
