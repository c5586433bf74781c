import type { BenchBlade, BenchVm, Cluster } from './placement-clusters.ts'

const GROUP_UUID = '5f9c1a52-0e3b-4c6e-9a31-6b6a2f1c7d10'
const CPUS = 32
const LARGEST = { memoryMib: 65_536, cpus: 16, diskMib: 1_048_576 }

/**
 * The cluster in the text format of htools, for hbal and for us. The template is `ext`: with local disks htools says
 * that instances cannot be relocated. A drained blade is offline, the only word the format has for it.
 */
export function toGanetiText(cluster: Cluster): string {
  const used = usedBy(cluster)
  const nodes = cluster.blades.map(blade => nodeLine(blade, used.get(blade.name)))
  const instances = cluster.vms.map(
    vm => `${vm.name}|${vm.memoryMib}|${vm.diskMib}|1|running|Y|${vm.blade}||ext||1|-`,
  )
  const spec = `1024,1,1024,1,1,1|128,1,1024,1,1,1;${LARGEST.memoryMib},${LARGEST.cpus},${LARGEST.diskMib},16,8,12`
  const policies = ['', 'default'].map(owner => `${owner}|${spec}|ext|64.0|320.0`)
  const sections = [[`default|${GROUP_UUID}|preferred||`], nodes, instances, [], policies]
  return sections.map(lines => lines.map(line => `${line}\n`).join('')).join('\n')
}

function nodeLine(blade: BenchBlade, used: Used = NOTHING): string {
  const fields = [
    blade.name,
    blade.memoryMib,
    blade.hostMemoryMib,
    blade.memoryMib - blade.hostMemoryMib - used.memoryMib,
    blade.diskMib,
    blade.diskMib - used.diskMib,
    CPUS,
    blade.isDrained ? 'Y' : 'N',
    GROUP_UUID,
    1,
    '',
    'N',
    0,
    1,
    '1.0',
  ]
  return fields.join('|')
}

/** The same for hail: version 2 of the protocol of instance allocators, asking to empty the drained blades. */
export function toHailRequest(cluster: Cluster): string {
  const used = usedBy(cluster)
  const drained = new Set(cluster.blades.filter(blade => blade.isDrained).map(blade => blade.name))
  const policy = {
    std: {
      'memory-size': 1024,
      'cpu-count': 1,
      'disk-size': 1024,
      'disk-count': 1,
      'nic-count': 1,
      'spindle-use': 1,
    },
    minmax: [
      {
        min: {
          'memory-size': 128,
          'cpu-count': 1,
          'disk-size': 1024,
          'disk-count': 1,
          'nic-count': 1,
          'spindle-use': 1,
        },
        max: {
          'memory-size': LARGEST.memoryMib,
          'cpu-count': LARGEST.cpus,
          'disk-size': LARGEST.diskMib,
          'disk-count': 16,
          'nic-count': 8,
          'spindle-use': 12,
        },
      },
    ],
    'disk-templates': ['ext'],
    'vcpu-ratio': 64,
    'spindle-ratio': 320,
  }
  return JSON.stringify({
    version: 2,
    cluster_name: 'bench',
    cluster_tags: [],
    enabled_hypervisors: ['kvm'],
    ipolicy: policy,
    nodegroups: {
      [GROUP_UUID]: { name: 'default', alloc_policy: 'preferred', networks: [], ipolicy: policy, tags: [] },
    },
    nodes: Object.fromEntries(
      cluster.blades.map(blade => [blade.name, hailNode(blade, used.get(blade.name))]),
    ),
    instances: Object.fromEntries(cluster.vms.map(vm => [vm.name, hailInstance(vm)])),
    request: {
      type: 'node-evacuate',
      instances: cluster.vms.filter(vm => drained.has(vm.blade)).map(vm => vm.name),
      evac_mode: 'primary-only',
    },
  })
}

function hailNode(blade: BenchBlade, used: Used = NOTHING) {
  return {
    total_memory: blade.memoryMib,
    reserved_memory: blade.hostMemoryMib,
    free_memory: blade.memoryMib - blade.hostMemoryMib - used.memoryMib,
    total_disk: blade.diskMib,
    free_disk: blade.diskMib - used.diskMib,
    total_cpus: CPUS,
    reserved_cpus: 1,
    free_spindles: 0,
    total_spindles: 1,
    i_pri_memory: used.memoryMib,
    i_pri_up_memory: used.memoryMib,
    primary_ip: '192.0.2.1',
    secondary_ip: '192.0.2.1',
    group: GROUP_UUID,
    offline: false,
    drained: blade.isDrained,
    master_candidate: true,
    master_capable: true,
    vm_capable: true,
    tags: [],
    ndparams: { spindle_count: 1, exclusive_storage: false, cpu_speed: 1 },
    hv_state: {},
    disk_state: {},
  }
}

function hailInstance(vm: BenchVm) {
  return {
    memory: vm.memoryMib,
    disk_space_total: vm.diskMib,
    disks: [{ mode: 'w', size: vm.diskMib, spindles: 1 }],
    vcpus: 1,
    spindle_use: 1,
    nodes: [vm.blade],
    disk_template: 'ext',
    admin_state: 'up',
    admin_state_source: 'admin',
    hypervisor: 'kvm',
    os: 'none',
    nics: [],
    tags: [],
    forthcoming: false,
  }
}

interface Used {
  readonly memoryMib: number
  readonly diskMib: number
}

const NOTHING: Used = { memoryMib: 0, diskMib: 0 }

function usedBy(cluster: Cluster): Map<string, Used> {
  const used = new Map<string, Used>()
  for (const vm of cluster.vms) {
    const { memoryMib, diskMib } = used.get(vm.blade) ?? NOTHING
    used.set(vm.blade, { memoryMib: memoryMib + vm.memoryMib, diskMib: diskMib + vm.diskMib })
  }
  return used
}
