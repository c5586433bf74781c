import type { Clock } from '../../shared/clock.ts'
import type { VmState } from '../../shared/domain/fleet.ts'
import { LifeboatError } from '../../shared/errors.ts'
import type { SimDefinition } from './definition-text.ts'
import type { SimDisks } from './disks.ts'
import { countAt, readCounter, writeCounter } from './guest.ts'
import type { ExecutionLedger } from './ledger.ts'

/** A VM of one simulated blade. The counter is as of `runningSince`, or as of its stand when it does not run. */
export interface SimVm {
  readonly definition: SimDefinition
  readonly state: Extract<VmState, 'running' | 'paused' | 'stopped'>
  readonly persistent: boolean
  readonly autostart: boolean
  /** Came by a migration and never ran here: `destroyIncoming` may drop it. */
  readonly incoming: boolean
  readonly count: number
  /** 0: does not execute. */
  readonly runningSince: number
}

/** The VMs of one blade and their guests: what libvirt and QEMU hold, whoever the agent is at the moment. */
export class VmTable {
  readonly #vms = new Map<string, SimVm>()
  readonly #watchers = new Set<() => void>()
  readonly #blade: string
  readonly #clock: Clock
  readonly #disks: SimDisks
  readonly #ledger: ExecutionLedger

  constructor(options: { blade: string; clock: Clock; disks: SimDisks; ledger: ExecutionLedger }) {
    this.#blade = options.blade
    this.#clock = options.clock
    this.#disks = options.disks
    this.#ledger = options.ledger
  }

  all(): readonly SimVm[] {
    return [...this.#vms.values()]
  }

  find(id: string): SimVm | undefined {
    return this.#vms.get(id)
  }

  /** Throws `not-found`. */
  get(id: string): SimVm {
    const vm = this.#vms.get(id)
    if (vm === undefined)
      throw new LifeboatError('not-found', `the hypervisor of ${this.#blade} has no VM ${id}`)
    return vm
  }

  /** Steps the guest has done up to now. */
  count(vm: SimVm): number {
    return countAt(vm.count, vm.runningSince, this.#clock.now())
  }

  put(vm: SimVm): void {
    this.#vms.set(vm.definition.id, vm)
    this.changed()
  }

  remove(id: string): void {
    if (this.#vms.delete(id)) this.changed()
  }

  watch(onChange: () => void): () => void {
    this.#watchers.add(onChange)
    return () => {
      this.#watchers.delete(onChange)
    }
  }

  /** A watcher is called later, as an event of libvirt would be: never from inside the call that changed something. */
  changed(): void {
    for (const watcher of this.#watchers) {
      setImmediate(() => {
        if (this.#watchers.has(watcher)) watcher()
      })
    }
  }

  /** Lets a VM that stands still execute, from the step it stands at. */
  thaw(id: string): void {
    const vm = this.get(id)
    if (vm.runningSince !== 0) return
    const now = this.#clock.now()
    this.#ledger.began(id, vm.definition.name, this.#blade, vm.count, now)
    this.put({ ...vm, state: 'running', incoming: false, runningSince: Math.max(1, now) })
  }

  /** Boots a stopped VM: the counter goes on from what its disk says. Throws when a disk is missing. */
  boot(id: string): void {
    const vm = this.get(id)
    const first = vm.definition.volumes[0]
    for (const volume of vm.definition.volumes) {
      if (this.#disks.image(volume.path) === undefined) {
        throw new LifeboatError('command-failed', `cannot access storage file '${volume.path}': no such file`)
      }
    }
    const count = first === undefined ? 0 : readCounter(this.#disks.hostPath(first.path))
    if (vm.definition.restored === true) this.#ledger.setBack(id)
    this.put({ ...vm, count, definition: { ...vm.definition, restored: false } })
    this.thaw(id)
  }

  /**
   * Halts a VM, and has its guest's last step on the first disk. `paused` keeps it in memory, `stopped` ends it.
   * The disk is written before the state changes: a copy taken after this is complete.
   */
  halt(id: string, state: 'paused' | 'stopped'): void {
    const vm = this.get(id)
    const count = this.count(vm)
    const first = vm.definition.volumes[0]
    if (vm.runningSince !== 0) {
      if (first !== undefined) writeCounter(this.#disks.hostPath(first.path), count)
      this.#ledger.ended(id, this.#blade, count, this.#clock.now())
    }
    if (state === 'stopped' && !vm.persistent) this.remove(id)
    else this.put({ ...vm, state, count, runningSince: 0 })
  }
}
